package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

type noteKey struct{}

// noted is one run of a handler as Config.OnFetch is told of it.
type noted struct {
	cause  any // value of the causing request; nil without one
	status int
	err    error
}

// notebook keeps what OnFetch is told, in the order in which runs end.
type notebook struct {
	mu   sync.Mutex
	runs []noted // guarded by mu
}

func (b *notebook) onFetch(ctx, cause context.Context) (context.Context, func(int, error)) {
	var run noted
	if cause != nil {
		run.cause = cause.Value(noteKey{})
	}
	return context.WithValue(ctx, noteKey{}, "fetch"), func(status int, err error) {
		run.status, run.err = status, err
		b.mu.Lock()
		defer b.mu.Unlock()
		b.runs = append(b.runs, run)
	}
}

func (b *notebook) all() []noted {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]noted(nil), b.runs...)
}

func TestOnFetchIsToldOfRunsForTheStore(t *testing.T) {
	var book notebook
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), OnFetch: book.onFetch})
	sorry := errors.New("sorry")
	serve := func(path string, next func(http.ResponseWriter, *http.Request) error) error {
		return g.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil), func(w http.ResponseWriter, r *http.Request) error {
			require.Equal(t, "fetch", r.Context().Value(noteKey{}))
			return next(w, r)
		})
	}
	silent := func(http.ResponseWriter, *http.Request) error { return nil }
	require.NoError(t, serve("/silent", silent))
	require.NoError(t, serve("/silent", silent), "from the store")
	require.NoError(t, serve("/gone", func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusGone); return nil }))
	require.ErrorIs(t, serve("/error", func(http.ResponseWriter, *http.Request) error { return sorry }), sorry)
	require.Panics(t, func() { _ = serve("/panic", func(http.ResponseWriter, *http.Request) error { panic("no") }) })

	runs := book.all()
	require.Len(t, runs, 4)
	require.Equal(t, []noted{{status: http.StatusOK}, {status: http.StatusGone}, {err: sorry}}, runs[:3])
	require.Zero(t, runs[3].status)
	require.Error(t, runs[3].err)
}

// Only the Guard that refreshes knows a cause: one within the handler runs for
// the refresh, in the foreground.
func TestOnFetchOfARefreshHasTheRequestForItsCause(t *testing.T) {
	var outer, inner notebook
	staleAtOnce := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		_, _ = w.Write([]byte("answer"))
	}
	var keys atomic.Int64
	behind := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), OnFetch: inner.onFetch, Namespace: "inner",
		Key: func(*http.Request) (string, error) { return fmt.Sprint(keys.Add(1)), nil }}) // never found
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), OnFetch: outer.onFetch})
	h := nethttplock.Wrap(g, nethttplock.Wrap(behind, http.HandlerFunc(staleAtOnce)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !guard.IsRefresh(r.Context()) {
			r = r.WithContext(context.WithValue(r.Context(), noteKey{}, r.Header.Get("X-Client")))
		}
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	for _, client := range []string{"first", "second"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("X-Client", client)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Eventually(t, func() bool { return len(outer.all()) == 2 }, time.Minute, time.Millisecond)
	// The Guard validates what it has, and the one behind it confirms that.
	require.Equal(t, []noted{{status: http.StatusOK}, {cause: "second", status: http.StatusNotModified}}, outer.all())
	require.Equal(t, []noted{{status: http.StatusOK}, {status: http.StatusOK}}, inner.all())
}
