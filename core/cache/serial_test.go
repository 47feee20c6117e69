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

// turns counts fetches of a second, and how many there were at once.
type turns struct{ running, most, runs atomic.Int32 }

func (n *turns) take() int {
	n.most.Store(max(n.most.Load(), n.running.Add(1)))
	defer n.running.Add(-1)
	time.Sleep(time.Second)
	return int(n.runs.Add(1))
}

func TestSerializedCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Locks: manager(t, coretest.Piped(t, 1).Clients()), Wait: time.Minute})
		var n turns
		fetch := func(context.Context) (int, error) { return n.take(), nil }
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, err := c.Get(t.Context(), "k", fetch); assert.NoError(t, err) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, n.most.Load())
		assert.EqualValues(t, 10, n.runs.Load(), "nothing is shared")
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

// unshared is a value for its own caller, and remembered as such.
type unshared int

func (unshared) CachePolicy() cache.Policy {
	return cache.Policy{NoStore: true, HitForMiss: time.Hour}
}

// That the last value could not be shared lets nobody out of the turns that calls take.
func TestSerializedCallsTakeTurnsAfterWhatCannotBeShared(t *testing.T) {
	for name, cfg := range map[string]cache.Config{"by configuration": {Stale: time.Minute}, "by call": {Fresh: time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg.Locks, cfg.Wait = manager(t, coretest.Piped(t, 1).Clients()), time.Minute
				c := open[unshared](t, cfg)
				var n turns
				call := cache.Call[unshared]{Key: "k", Serial: true, Fetch: func(context.Context) (unshared, error) {
					return unshared(n.take()), nil
				}}
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() { _, err := c.Do(t.Context(), call); assert.NoError(t, err) })
				}
				wg.Wait()
				assert.EqualValues(t, 1, n.most.Load())
				assert.EqualValues(t, 10, n.runs.Load())
			})
		})
	}
}
