package guardtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is a writer whose header map lives on, so that only what is done for
// the response is counted.
type discard struct{ header http.Header }

func (w discard) Header() http.Header         { return w.header }
func (w discard) Write(p []byte) (int, error) { return len(p), nil }
func (w discard) WriteHeader(int)             {}

// BenchmarkHit measures, without a socket, what h takes to answer a GET of target
// whose response it has in memory since the first one.
func BenchmarkHit(b *testing.B, h http.Handler, target string) {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	w := discard{http.Header{}}
	h.ServeHTTP(w, r)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	if status := w.header.Get("Cache-Status"); !strings.Contains(status, "hit") {
		b.Fatalf("Cache-Status: %q: the last one was no hit", status)
	}
}
