package guard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// Of several caches on the way the one nearest to the client comes last (RFC 9211 §2),
// whatever it did and whatever came before the response.
func TestCacheStatusComesBehindTheOrigins(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Set("Cache-Status", "origin;hit")
		_, _ = io.WriteString(w, "x")
	}))
	defer origin.Close()
	target, err := url.Parse(origin.URL)
	require.NoError(t, err)
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	front := httptest.NewServer(nethttplock.Wrap(g, httputil.NewSingleHostReverseProxy(target)))
	defer front.Close()
	for _, row := range []struct{ method, field, why string }{
		{"GET", "Cookie", "bypass"}, {"GET", "Authorization", "bypass"}, {"HEAD", "X-Any", "uri-miss"},
		{"GET", "Range", "uri-miss"}, {"POST", "X-Any", "method"}, {"OPTIONS", "X-Any", "method"}, {"GET", "X-Any", "uri-miss"},
	} {
		for _, path := range []string{"/plain", "/hints"} {
			r, err := http.NewRequest(row.method, front.URL+path, nil)
			require.NoError(t, err)
			r.Header.Set(row.field, "bytes=0-0")
			resp, err := front.Client().Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			said := strings.Join(resp.Header["Cache-Status"], ", ")
			require.Regexp(t, "^origin;hit, dlm;fwd="+row.why+"\\b[^,]*$", said, "%v %s", row, path)
		}
	}
}

// A handler that writes nothing has answered all the same, and one that fails without
// a word has not.
func TestCacheStatusOfAResponseWithoutAWord(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	r := httptest.NewRequest(http.MethodPost, "/x", nil)
	for err, want := range map[error]string{nil: "dlm;fwd=method;detail=method", io.ErrUnexpectedEOF: ""} {
		w := httptest.NewRecorder()
		require.Equal(t, err, g.Serve(w, r, func(http.ResponseWriter, *http.Request) error { return err }))
		require.Equal(t, want, w.Header().Get("Cache-Status"))
	}
}
