package guard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// answered is what h answers to a GET.
func answered(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// saying is a handler that answers the number of its run, with what control says.
func saying(control func(r *http.Request) string, status func(r *http.Request) int) (http.Handler, *atomic.Int64) {
	runs := new(atomic.Int64)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run := runs.Add(1)
		if text := control(r); text != "" {
			w.Header().Set("Cache-Control", text)
		}
		w.WriteHeader(status(r))
		_, _ = io.WriteString(w, strconv.FormatInt(run, 10))
	}), runs
}

func always[T any](v T) func(*http.Request) T { return func(*http.Request) T { return v } }

// What is kept to be validated only does not stand in for the locks, whatever is asked
// of a Guard that fails closed.
func TestNothingStaleIsServedForWantOfLocksUnlessItMay(t *testing.T) {
	for control, status := range map[string]int{
		"no-cache":                      http.StatusServiceUnavailable,
		"max-age=0, must-revalidate":    http.StatusServiceUnavailable,
		"s-maxage=0, stale-if-error=60": http.StatusServiceUnavailable,
		"max-age=0":                     http.StatusServiceUnavailable,
		"max-age=0, stale-if-error=60":  http.StatusOK,
	} {
		t.Run(control, func(t *testing.T) {
			nodes := coretest.Embedded(t, 1)
			locks, err := core.New(core.Config{Nodes: nodes.URLs(), NodeTimeout: patience})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, locks.Close()) })
			g := newGuard(t, guard.Config{Locks: locks, Fresh: time.Hour, OnUnavailable: guard.FailClosed, Store: cache.NewMemory(1 << 20)})
			handler, runs := saying(always(control), always(http.StatusOK))
			h := nethttplock.Wrap(g, handler)
			require.Equal(t, http.StatusOK, answered(h, "/x").Code)
			require.NoError(t, nodes.Close())
			w := answered(h, "/x")
			require.Equal(t, status, w.Code, w.Header())
			require.EqualValues(t, 1, runs.Load())
		})
	}
}

// A process that leaves the handler alone after a failure serves what stands in for it,
// and not what another process has stored since and that may not.
func TestAFailureIsNotCoveredByWhatMustBeValidated(t *testing.T) {
	nodes := coretest.Embedded(t, 1)
	var control atomic.Value
	var broken atomic.Bool
	handler, runs := saying(func(*http.Request) string { return control.Load().(string) }, func(*http.Request) int {
		if broken.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	var fleet [2]http.Handler
	for i := range fleet {
		locks, err := core.New(core.Config{Nodes: nodes.URLs(), NodeTimeout: patience})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, locks.Close()) })
		client := nodes.Clients()[0]
		fleet[i] = nethttplock.Wrap(newGuard(t, guard.Config{Locks: locks, Fresh: time.Hour, Store: cache.NewRedis(client)}), handler)
	}
	control.Store("max-age=0, stale-if-error=60")
	require.Equal(t, "1", answered(fleet[0], "/x").Body.String())
	broken.Store(true)
	w := answered(fleet[0], "/x")
	require.Equal(t, "1", w.Body.String(), "the stored one stands in")
	require.Contains(t, w.Header().Get("Cache-Status"), "stale-if-error")
	broken.Store(false)
	control.Store("no-cache")
	require.Equal(t, "3", answered(fleet[1], "/x").Body.String())
	require.Equal(t, "4", answered(fleet[0], "/x").Body.String())
	require.EqualValues(t, 4, runs.Load())
}

// An error that blames one client, or its request, is that client's alone.
func TestAnErrorOfOneClientLeavesWhatIsStored(t *testing.T) {
	for _, status := range []int{400, 401, 403, 406, 413, 429, 431} {
		g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
		handler, _ := saying(func(r *http.Request) string {
			if r.Header.Get("X-Bad") != "" {
				return ""
			}
			return "max-age=0, stale-while-revalidate=60"
		}, func(r *http.Request) int {
			if r.Header.Get("X-Bad") != "" {
				return status
			}
			return http.StatusOK
		})
		h := nethttplock.Wrap(g, handler)
		require.Equal(t, "1", answered(h, "/x").Body.String())
		require.Equal(t, status, answered(h, "/x", "X-Bad", "1").Code)
		w := answered(h, "/x")
		require.Contains(t, w.Header().Get("Cache-Status"), "fwd=stale;stored", "%d", status)
		require.Equal(t, http.StatusOK, w.Code)
	}
}

// Some errors must not be stored whatever they say (RFC 6585 §3 to §6).
func TestErrorsOfOneClientAreNotStored(t *testing.T) {
	for _, status := range []int{428, 429, 431, 511} {
		handler, _ := saying(always("public, max-age=60"), always(status))
		h := nethttplock.Wrap(newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)}), handler)
		for _, run := range []string{"1", "2"} {
			w := answered(h, "/x")
			require.Equal(t, status, w.Code)
			require.Equal(t, run, w.Body.String())
			require.Equal(t, "dlm;fwd=uri-miss;detail=status", w.Header().Get("Cache-Status"))
		}
	}
}

// Nobody queues for what another target, or all targets alike, are refused with.
func TestAnErrorOfATargetIsRemembered(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	both := make(chan struct{}, 2)
	handler, _ := saying(always("no-store"), always(http.StatusNotFound))
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Second") != "" {
			both <- struct{}{}
			for len(both) < 2 {
				time.Sleep(time.Millisecond)
			}
		}
		handler.ServeHTTP(w, r)
	}))
	require.Equal(t, http.StatusNotFound, answered(h, "/x").Code)
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() { assert.Equal(t, http.StatusNotFound, answered(h, "/x", "X-Second", "1").Code) })
	}
	requests.Wait()
}

// Clients that limit what they take from the store share what none of them finds there.
func TestWishesOfClientsDoNotKeepThemFromSharing(t *testing.T) {
	for _, wish := range []string{"max-age=60", "max-stale=5", "min-fresh=1"} {
		synctest.Test(t, func(t *testing.T) {
			locks, err := core.New(core.Config{Clients: coretest.Piped(t, 1).Clients()})
			require.NoError(t, err)
			defer func() { require.NoError(t, locks.Close()) }()
			g, err := guard.New(guard.Config{Locks: locks, Fresh: time.Hour, ObeyClient: true, Store: cache.NewMemory(1 << 20),
				Key: func(*http.Request) (string, error) { return "k", nil }})
			require.NoError(t, err)
			defer func() { require.NoError(t, g.Close()) }()
			handler, runs := saying(always("max-age=5"), always(http.StatusOK))
			h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				handler.ServeHTTP(w, r)
			}))
			ask := func() {
				var requests sync.WaitGroup
				for range 20 {
					requests.Go(func() { assert.Equal(t, http.StatusOK, answered(h, "/x", "Cache-Control", wish).Code) })
				}
				requests.Wait()
			}
			ask()
			require.EqualValues(t, 1, runs.Load(), wish)
			time.Sleep(time.Minute) // nothing of it can be used any more
			ask()
			require.EqualValues(t, 2, runs.Load(), wish)
		})
	}
}

// A request that forbids to ask the handler is not handed to it because the store has
// no part in it either (RFC 9111 §5.2.1.7).
func TestOnlyIfCachedNeverRunsTheHandler(t *testing.T) {
	handler, runs := saying(always("max-age=60"), always(http.StatusOK))
	h := nethttplock.Wrap(newGuard(t, guard.Config{Fresh: time.Hour, ObeyClient: true, Store: cache.NewMemory(1 << 20)}), handler)
	require.Equal(t, http.StatusOK, answered(h, "/x").Code)
	for _, field := range []string{"Cookie", "Authorization", "If-Match"} {
		require.Equal(t, http.StatusGatewayTimeout, answered(h, "/x", "Cache-Control", "only-if-cached", field, "x").Code)
	}
	require.Equal(t, "1", answered(h, "/x", "Cache-Control", "only-if-cached").Body.String())
	require.EqualValues(t, 1, runs.Load())
}

// What concerns the connection to a client reaches the one whose request was answered,
// and nobody else.
func TestFieldsOfTheConnectionReachTheirOwnClient(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close, X-Hop")
		w.Header().Set("X-Hop", "1")
		_, _ = io.WriteString(w, "x")
	}))
	first, second := answered(h, "/x").Header(), answered(h, "/x").Header()
	require.Equal(t, "close, X-Hop", first.Get("Connection"))
	require.Equal(t, "1", first.Get("X-Hop"))
	require.Contains(t, second.Get("Cache-Status"), "hit")
	require.NotContains(t, second, "Connection")
	require.NotContains(t, second, "X-Hop")
}

// The fields that tell responses apart and the target that a middleware rewrote are
// different parts of a name: here the values of one request spell out the target, and
// the value, of another.
func TestIdentityFieldsCannotSpellARewrittenTarget(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), IdentityHeaders: []string{"X-Tenant"}})
	handler, _ := saying(always(""), always(http.StatusOK))
	h := nethttplock.Wrap(g, handler)
	filler := strings.Repeat("f", 44)
	const sameLength = "\x2e" // of one tenant, 46 bytes, as the name writes it
	require.Equal(t, "1", answered(h, "/x", "X-Tenant", "a\x01"+sameLength+filler, "X-Tenant", "x").Body.String())
	rewritten := httptest.NewRequest(http.MethodGet, "/a", nil)
	rewritten.URL.Path = "/x"
	rewritten.Header.Set("X-Tenant", filler+"\x01x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, rewritten)
	require.Equal(t, "2", w.Body.String())
}
