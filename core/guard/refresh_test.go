package guard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// patience is how long what must happen may take: a loaded machine is not a hang.
const patience = 20 * time.Second

// aging is a server whose every response is stale at once, and holds the number
// of the run that made it; run 2 is the first refresh. outer stands before the
// Guard, and inner is told of each run.
func aging(t *testing.T, outer func(http.Handler) http.Handler, inner func(run int64, r *http.Request)) (ask func() string, runs *atomic.Int64, g *guard.Guard) {
	t.Helper()
	g = newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	runs = new(atomic.Int64)
	server := httptest.NewServer(outer(nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run := runs.Add(1)
		inner(run, r)
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		_, _ = io.WriteString(w, strconv.FormatInt(run, 10))
	}))))
	t.Cleanup(server.Close)
	client := server.Client()
	client.Timeout = patience
	return func() string {
		resp, err := client.Get(server.URL)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}, runs, g
}

// impatient answers a refresh as soon as its handler has begun, as
// [http.TimeoutHandler] does when its time is over, and says so.
func impatient(begun <-chan struct{}, answered chan<- struct{}) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !guard.IsRefresh(r.Context()) {
				next.ServeHTTP(w, r)
				return
			}
			go func() {
				defer func() { _ = recover() }()
				next.ServeHTTP(w, r)
			}()
			<-begun
			answered <- struct{}{}
		})
	}
}

// The lock is held and no other refresh begins for as long as the handler runs,
// and its response counts.
func TestRefreshEndsWithItsHandler(t *testing.T) {
	begun, answered, goOn := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	ask, runs, _ := aging(t, impatient(begun, answered), func(run int64, _ *http.Request) {
		if run == 2 {
			close(begun)
			<-goOn
		}
	})
	require.Equal(t, "1", ask())
	require.Equal(t, "1", ask(), "stale, and a refresh behind it")
	<-answered
	for range 20 {
		require.Equal(t, "1", ask(), "while the refresh runs")
	}
	require.EqualValues(t, 2, runs.Load())
	close(goOn)
	var got string
	require.Eventually(t, func() bool { got = ask(); return got != "1" }, patience, time.Millisecond)
	require.Equal(t, "2", got)
}

// A panic that a middleware keeps to itself ends the refresh too: Close finds
// nothing under way.
func TestRefreshEndsWithAPanicThatNobodySees(t *testing.T) {
	begun, answered := make(chan struct{}), make(chan struct{}, 1)
	ask, _, g := aging(t, impatient(begun, answered), func(run int64, _ *http.Request) {
		if run == 2 {
			close(begun)
			panic("refresh")
		}
	})
	require.Equal(t, "1", ask())
	require.Equal(t, "1", ask())
	<-answered
	require.NoError(t, g.Close())
}

// A handler that asks its own route within the process, as gin's HandleContext
// does, gets the stale response there, not itself.
func TestRefreshThatAsksItsOwnRouteIsBounded(t *testing.T) {
	var (
		app             http.Handler
		depth, deepest  atomic.Int64
		outermostItself = func(next http.Handler) http.Handler { app = next; return next }
	)
	ask, _, _ := aging(t, outermostItself, func(run int64, r *http.Request) {
		d := depth.Add(1)
		defer depth.Add(-1)
		deepest.Store(max(d, deepest.Load()))
		if guard.IsRefresh(r.Context()) && d < 10 {
			inside := httptest.NewRecorder()
			again := r.Clone(r.Context())
			again.Header.Del("If-None-Match") // the refresh is a validation
			app.ServeHTTP(inside, again)
			if want := strconv.FormatInt(run-1, 10); inside.Body.String() != want {
				t.Errorf("the refresh was told %q, not %q", inside.Body, want)
			}
		}
	})
	require.Equal(t, "1", ask())
	require.Eventually(t, func() bool { return ask() != "1" }, patience, time.Millisecond)
	require.EqualValues(t, 1, deepest.Load())
}
