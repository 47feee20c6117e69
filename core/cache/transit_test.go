package cache_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
)

// tardy is a store far away: what it answers, and what it is sent, is on its way for a
// while.
type tardy struct {
	cache.Store
	answers, sets time.Duration
	resets        int // connections that break on the way there, after as long
	kept          []cache.Item
}

func (s *tardy) Get(ctx context.Context, key string) (cache.Item, error) {
	it, err := s.Store.Get(ctx, key)
	time.Sleep(s.answers)
	return it, err
}

func (s *tardy) Set(ctx context.Context, key string, it cache.Item) error {
	if s.resets > 0 {
		s.resets--
		time.Sleep(s.sets)
		return io.EOF
	}
	s.kept = append(s.kept, it)
	return s.Store.Set(ctx, key, it)
}

// A value goes on ageing while the store's answer is on its way, or its process is
// suspended in the meantime.
func TestAValueAgesOnItsWay(t *testing.T) {
	for name, look := range map[string]func(*testing.T, *cache.Cache[string]){
		"lookup": func(t *testing.T, c *cache.Cache[string]) {
			r, err := c.Lookup(t.Context(), "k", value("new"))
			require.NoError(t, err)
			assert.Equal(t, "new", r.Value)
		},
		"peek": func(t *testing.T, c *cache.Cache[string]) {
			_, ok := c.Peek(t.Context(), "k")
			assert.False(t, ok)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &tardy{Store: cache.NewMemory(1 << 20)}
				c := open[string](t, cache.Config{Fresh: time.Minute, Store: cache.NewTiered(cache.NewMemory(1<<20), store)})
				_, err := c.Get(t.Context(), "k", value("old"))
				require.NoError(t, err)
				time.Sleep(50 * time.Second)
				store.answers = 11 * time.Second
				look(t, c)
			})
		})
	}
}

// Nor is it any younger where it had to be sent again.
func TestAValueAgesUntilItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tardy{Store: cache.NewMemory(1 << 20), sets: 5 * time.Second, resets: 2}
		c := open[string](t, cache.Config{Fresh: time.Minute, Store: store})
		r, err := c.Lookup(t.Context(), "k", value("v"))
		require.NoError(t, err)
		require.True(t, r.Stored)
		require.Len(t, store.kept, 1)
		assert.LessOrEqual(t, store.kept[0].TTL, 50*time.Second)
		store.resets, store.sets = 2, 6*time.Second // and is not stored once its time is over
		short := open[string](t, cache.Config{Fresh: 10 * time.Second, Store: store, Namespace: "short"})
		r, err = short.Lookup(t.Context(), "k", value("v"))
		require.NoError(t, err)
		assert.False(t, r.Stored)
		assert.Len(t, store.kept, 1)
	})
}

// And not even by a part of a millisecond.
func TestLifetimesAreNotRoundedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tardy{Store: cache.NewMemory(1 << 20), sets: 300 * time.Microsecond, resets: 1}
		c := open[string](t, cache.Config{Fresh: time.Minute, Store: store})
		made := time.Now()
		_, err := c.Get(t.Context(), "k", value("v"))
		require.NoError(t, err)
		require.Len(t, store.kept, 1)
		assert.LessOrEqual(t, store.kept[0].TTL, time.Minute-time.Since(made))
	})
}
