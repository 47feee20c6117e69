package guard_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// reused is a writer whose header map lives on, so that only what the handler
// allocates is counted.
type reused struct {
	header http.Header
	n      int
}

func (w *reused) Header() http.Header         { return w.header }
func (w *reused) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }
func (w *reused) WriteHeader(int)             {}

var page = bytes.Repeat([]byte("x"), 2<<10)

func bare(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{"text/plain; charset=utf-8"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(page))}
	_, _ = w.Write(page)
}

// newLocks returns a Manager of one embedded node.
func newLocks(tb testing.TB) *core.Manager {
	tb.Helper()
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(tb, 1).URLs()})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, locks.Close()) })
	return locks
}

func newGuard(tb testing.TB, cfg guard.Config) *guard.Guard {
	tb.Helper()
	if cfg.Locks == nil {
		cfg.Locks = newLocks(tb)
	}
	if cfg.Key == nil {
		cfg.Key = func(r *http.Request) (string, error) { return r.URL.Path, nil }
	}
	g, err := guard.New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, g.Close()) })
	return g
}

// warm returns a handler that answers from memory, and a request for it.
func warm(tb testing.TB) (http.Handler, *http.Request) {
	tb.Helper()
	h := nethttplock.Wrap(newGuard(tb, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)}), http.HandlerFunc(bare))
	r := httptest.NewRequest(http.MethodGet, "/quotes/1?currency=eur", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	return h, r
}

func BenchmarkBare(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "/quotes/1?currency=eur", nil)
	serve(b, http.HandlerFunc(bare), r)
}

func BenchmarkCachedHit(b *testing.B) {
	h, r := warm(b)
	serve(b, h, r)
}

// routed is h behind a ServeMux, as programs have it.
func routed(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /quotes/{id}", h)
	return mux
}

func BenchmarkRoutedBare(b *testing.B) {
	serve(b, routed(http.HandlerFunc(bare)), httptest.NewRequest(http.MethodGet, "/quotes/1", nil))
}

func BenchmarkRoutedCachedHit(b *testing.B) {
	g := newGuard(b, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), Key: keyfuncs.MustTemplate("quote_<id>")})
	h, r := routed(nethttplock.Wrap(g, http.HandlerFunc(bare))), httptest.NewRequest(http.MethodGet, "/quotes/1", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	serve(b, h, r)
}

func serve(b *testing.B, h http.Handler, r *http.Request) {
	w := &reused{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
