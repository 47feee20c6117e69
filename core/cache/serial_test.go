package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSerializedCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Locks: manager(t, coretest.Piped(t, 1).Clients()), Wait: time.Minute})
		var running, most, runs atomic.Int32
		fetch := func(context.Context) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return int(runs.Add(1)), nil
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, err := c.Get(t.Context(), "k", fetch); assert.NoError(t, err) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, most.Load())
		assert.EqualValues(t, 10, runs.Load(), "nothing is shared")
		_, ok := c.Peek(t.Context(), "k")
		assert.False(t, ok, "nothing is stored")
	})
}

func TestSerializedCallsGiveLosersTheLastValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Stale: time.Minute, Wait: 5 * time.Second, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		var n atomic.Int32
		fetch := func(context.Context) (int, error) { time.Sleep(time.Second); return int(n.Add(1)), nil }
		for range 2 { // nobody else is there: each one fetches
			r, err := c.Lookup(t.Context(), "k", fetch)
			require.NoError(t, err)
			assert.Equal(t, cache.Fetched, r.State)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, err := c.Get(t.Context(), "k", fetch); assert.NoError(t, err) })
		synctest.Wait()
		r, err := c.Lookup(t.Context(), "k", unexpected[int](t))
		require.NoError(t, err)
		assert.Equal(t, cache.Stale, r.State)
		assert.Equal(t, 2, r.Value)
		wg.Wait()
	})
}
