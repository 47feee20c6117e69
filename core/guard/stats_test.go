package guard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// asked sends one GET and gives its status.
func asked(h http.Handler, path string, header ...string) int {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// A request counts once, however many lookups it takes to find its variant.
func TestStatsCountRequestsNotLookups(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		_, _ = fmt.Fprintln(w, r.Header.Get("Accept-Language"))
	}))
	for range 3 {
		for _, language := range []string{"en", "de"} {
			require.Equal(t, http.StatusOK, asked(h, "/quotes/1", "Accept-Language", language))
		}
	}
	s := g.Stats()
	require.EqualValues(t, 2, s.Fetches, "one for each language")
	require.EqualValues(t, 4, s.Hits)
	require.Zero(t, s.Stale+s.Shared+s.Refused)

	u := g.Usage()
	require.Positive(t, u.Bytes)
	require.EqualValues(t, 64<<20, u.Limit)
	require.Equal(t, 2, u.Entries)
}

// occupied has a request in its handler until free is called.
func occupied(t *testing.T, cfg guard.Config) (g *guard.Guard, h http.Handler, free func()) {
	t.Helper()
	g = newGuard(t, cfg)
	in, out, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	h = nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stay") != "" {
			close(in)
			<-out
		}
		_, _ = fmt.Fprintln(w, "answer")
	}))
	require.Equal(t, http.StatusOK, asked(h, "/"), "there is a last response")
	go func() { defer close(over); asked(h, "/", "X-Stay", "1") }()
	<-in
	return g, h, func() { close(out); <-over }
}

func TestStatsCountTheLastResponseAsStale(t *testing.T) {
	g, h, free := occupied(t, guard.Config{Stale: time.Hour})
	require.Equal(t, http.StatusOK, asked(h, "/"))
	free()
	s := g.Stats()
	require.EqualValues(t, 1, s.Stale)
	require.EqualValues(t, 2, s.Fetches)
	require.Zero(t, s.Hits+s.Shared+s.Refused)
}

func TestStatsCountRefusals(t *testing.T) {
	g, h, free := occupied(t, guard.Config{Wait: -1})
	require.Equal(t, http.StatusServiceUnavailable, asked(h, "/"))
	free()
	require.Equal(t, cache.Stats{Refused: 1}, g.Stats(), "a Guard that serializes has no cache")
	require.Zero(t, g.Usage())
}

func TestStatsCountCollapsedRequests(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour})
	const others = 5
	in, out := make(chan struct{}), make(chan struct{})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(in)
		<-out
		_, _ = fmt.Fprintln(w, "answer")
	}))
	codes := make(chan int, others+1)
	ask := func() { codes <- asked(h, "/") }
	go ask()
	<-in
	for range others {
		go ask()
	}
	close(out)
	for range others + 1 {
		require.Equal(t, http.StatusOK, <-codes)
	}
	s := g.Stats()
	require.EqualValues(t, 1, s.Fetches)
	require.EqualValues(t, others, s.Shared+s.Hits, "whoever was late found it stored")
	require.Zero(t, s.Stale+s.Refused)
}

// A Guard is watched like a cache.
func ExampleGuard_Stats() {
	locks, stop := exampleLocks()
	defer stop()
	g, err := guard.New(guard.Config{Locks: locks, Fresh: time.Minute, Key: byOrder})
	if err != nil {
		panic(err)
	}
	defer func() { _ = g.Close() }()
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "17.50") }))
	for range 4 {
		asked(h, "/quotes/ACME")
	}
	page := guard.DebugCache("quotes", g.Stats, g.Usage) // an option of DebugHandler
	fmt.Println(g.Stats().Fetches, g.Stats().Hits, g.Usage().Entries, page != nil)
	// Output: 1 3 1 true
}
