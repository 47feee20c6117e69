package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted counts the Gets of a Store.
type counted struct {
	cache.Store
	gets atomic.Int32
}

func (s *counted) Get(ctx context.Context, key string) (cache.Item, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, key)
}

func TestFetchThatPeeksLearnsWhatItsLookupFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &counted{Store: cache.NewMemory(1 << 20)}
		c := open[int](t, cache.Config{
			Fresh: time.Minute, Stale: time.Minute, Contention: cache.FreshFirst, Locks: manager(t, coretest.Piped(t, 1).Clients()),
			Store: cache.NewTiered(cache.NewMemory(1<<20), far),
		})
		_, err := c.Get(t.Context(), "k", func(ctx context.Context) (int, error) {
			before := far.gets.Load()
			_, ok := c.Peek(ctx, "k")
			assert.False(t, ok)
			assert.Equal(t, before, far.gets.Load(), "what is known is not asked for again")
			_, _ = c.Peek(ctx, "other")
			assert.Equal(t, before+1, far.gets.Load(), "of other keys nothing is known")
			return 1, nil
		})
		require.NoError(t, err)
		time.Sleep(90 * time.Second)
		_, err = c.Get(t.Context(), "k", func(ctx context.Context) (int, error) {
			r, ok := c.Peek(ctx, "k")
			assert.True(t, ok)
			assert.Equal(t, 1, r.Value)
			assert.Equal(t, cache.Stale, r.State)
			require.NoError(t, c.Invalidate(t.Context(), "k"))
			_, ok = c.Peek(ctx, "k")
			assert.False(t, ok, "not what was purged since")
			return 2, nil
		})
		require.NoError(t, err)
	})
}
