package guardtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// hits returns what has h answer a GET of target, whose response it has in
// memory since the first one, without a socket. The writer's header map lives
// on, so that only what is done for the response is counted.
func hits(h http.Handler, target string) (serve func(), status func() string) {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	w := discard{http.Header{}}
	serve = func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	serve()
	return serve, func() string { return w.header.Get("Cache-Status") }
}

type discard struct{ header http.Header }

func (w discard) Header() http.Header         { return w.header }
func (w discard) Write(p []byte) (int, error) { return len(p), nil }
func (w discard) WriteHeader(int)             {}

// BenchmarkHit measures what h takes to answer from memory.
func BenchmarkHit(b *testing.B, h http.Handler, target string) {
	serve, status := hits(h, target)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
	mustBeHit(b, status())
}

// AllocsPerHit is how many allocations h makes to answer from memory. It means
// nothing under the race detector, which drops what is in a sync.Pool.
func AllocsPerHit(t *testing.T, h http.Handler, target string) float64 {
	serve, status := hits(h, target)
	allocs := testing.AllocsPerRun(2000, serve)
	mustBeHit(t, status())
	return allocs
}

func mustBeHit(tb testing.TB, status string) {
	tb.Helper()
	if !strings.Contains(status, "hit") {
		tb.Fatalf("Cache-Status: %q: the last answer was no hit", status)
	}
}
