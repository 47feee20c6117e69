package guard_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// halting is a store whose next Get after halt waits for goOn.
type halting struct {
	cache.Store
	halt         atomic.Bool
	halted, goOn chan struct{}
}

func (s *halting) Get(ctx context.Context, key string) (cache.Item, error) {
	if s.halt.CompareAndSwap(true, false) {
		close(s.halted)
		select {
		case <-s.goOn:
		case <-ctx.Done():
		}
	}
	return s.Store.Get(ctx, key)
}

// What is kept is repeated to all who ask for it at once: nothing is under way.
func TestRepetitionsDoNotExcludeEachOther(t *testing.T) {
	store := &halting{Store: cache.NewMemory(1 << 20), halted: make(chan struct{}), goOn: make(chan struct{})}
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs(), NodeTimeout: 2 * patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	var runs atomic.Int64
	h := nethttplock.Wrap(newGuard(t, guard.Config{Locks: locks, Fresh: time.Hour, Store: store, Idempotent: &guard.Idempotent{}}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	ask := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body))
		r.Header.Set("Idempotency-Key", "k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	require.Equal(t, http.StatusCreated, ask("one").Code)
	store.halt.Store(true)
	var slow sync.WaitGroup
	slow.Go(func() { assert.Equal(t, http.StatusCreated, ask("one").Code) })
	select {
	case <-store.halted:
	case <-time.After(patience):
		require.Fail(t, "the repetition asks no store")
	}
	again := ask("one")
	require.Equal(t, http.StatusCreated, again.Code)
	require.Equal(t, "true", again.Header().Get("Idempotency-Replayed"))
	require.NotContains(t, again.Header(), "Cache-Status", "of a request that went to the handler")
	require.Equal(t, http.StatusUnprocessableEntity, ask("two").Code)
	close(store.goOn)
	slow.Wait()
	require.EqualValues(t, 1, runs.Load())
}
