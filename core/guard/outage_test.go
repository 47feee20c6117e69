package guard_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
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

// However long they would wait for a holder, nobody waits for servers that are dead.
func TestDeadMajorityRefusesAtOnce(t *testing.T) {
	for name, stop := range map[string]func(*coretest.Node) error{"killed": (*coretest.Node).Kill, "frozen": (*coretest.Node).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			locks, err := core.New(core.Config{Nodes: nodes.URLs(), NodeTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, locks.Close()) })
			g := newGuard(t, guard.Config{Locks: locks, Wait: time.Hour})
			h := nethttplock.Wrap(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			require.Equal(t, http.StatusOK, asked(h, "/"))
			for i := range 2 {
				require.NoError(t, stop(nodes.Node(i)))
			}
			var requests sync.WaitGroup
			for range 30 {
				requests.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
					assert.NoError(t, ctx.Err())
					assert.Equal(t, http.StatusServiceUnavailable, w.Code)
					assert.NotEmpty(t, w.Header().Get("Retry-After"))
				})
			}
			requests.Wait()
			if name == "frozen" {
				for i := range 2 {
					require.NoError(t, nodes.Node(i).Thaw())
				}
			}
		})
	}
}

// A request that waits for its lock has not been refused it.
func TestFailOpenCountsNoRefusalThatWasNone(t *testing.T) {
	locks := newLocks(t)
	g := newGuard(t, guard.Config{Locks: locks, Wait: time.Hour, OnUnavailable: guard.FailOpen})
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() { assert.Equal(t, http.StatusOK, asked(h, "/")) })
	}
	<-entered
	require.Eventually(t, func() bool { return locks.Stats().Waiting == 1 }, patience, time.Millisecond)
	close(leave)
	requests.Wait()
	require.Zero(t, locks.Stats().Refused)
}

// mute is a store that never answers.
type mute struct{ cache.Store }

func (mute) Get(ctx context.Context, _ string) (cache.Item, error) {
	<-ctx.Done()
	return cache.Item{}, ctx.Err()
}

func TestStoreTakesNoLongerThanANode(t *testing.T) {
	for _, limit := range []time.Duration{10 * time.Millisecond, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			locks, err := core.New(core.Config{Clients: coretest.Piped(t, 1).Clients(), NodeTimeout: limit})
			require.NoError(t, err)
			defer func() { require.NoError(t, locks.Close()) }()
			require.Equal(t, limit, locks.NodeTimeout())
			g, err := guard.New(guard.Config{Locks: locks, Fresh: time.Hour, Store: mute{cache.NewMemory(1 << 20)},
				Key: func(*http.Request) (string, error) { return "k", nil }})
			require.NoError(t, err)
			defer func() { require.NoError(t, g.Close()) }()
			began := time.Now()
			require.Equal(t, http.StatusOK, asked(nethttplock.Wrap(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "/"))
			took := time.Since(began)
			require.GreaterOrEqual(t, took, limit)
			require.LessOrEqual(t, took, 4*limit, "a look, another one under the lock, and what is stored")
		})
	}
}
