package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
)

type labelled struct{ n int }

func (labelled) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: time.Minute, Tags: []string{"t"}}
}
func (labelled) CacheSize() int { return 1 }

// A Spot is a shortcut to what Hit finds, never to anything else.
func TestHitAgainFindsWhatHitWouldFind(t *testing.T) {
	for name, end := range map[string]func(context.Context, *cache.Cache[labelled]) error{
		"purged":         func(ctx context.Context, c *cache.Cache[labelled]) error { return c.Invalidate(ctx, "k") },
		"purged by tag":  func(ctx context.Context, c *cache.Cache[labelled]) error { return c.InvalidateTag(ctx, "t") },
		"past freshness": func(context.Context, *cache.Cache[labelled]) error { time.Sleep(time.Minute); return nil },
		"replaced": func(ctx context.Context, c *cache.Cache[labelled]) error {
			_, err := c.Refresh(ctx, "k", value(labelled{2}))
			return err
		},
		"evicted": func(ctx context.Context, c *cache.Cache[labelled]) (err error) {
			for i := 0; i < 3000 && err == nil; i++ {
				_, err = c.Get(ctx, fmt.Sprint("other ", i), value(labelled{3}))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open[labelled](t, cache.Config{Fresh: time.Minute, Store: cache.NewMemory(64 << 10)})
				_, err := c.Get(t.Context(), "k", value(labelled{1}))
				require.NoError(t, err)
				var spot cache.Spot
				_, ok := c.HitAgain(&spot)
				require.False(t, ok, "a Spot of nothing")
				_, ok = c.HitAt(&spot, "k")
				require.True(t, ok)
				time.Sleep(time.Second)
				r, ok := c.HitAgain(&spot)
				require.True(t, ok)
				require.Equal(t, cache.Result[labelled]{Value: labelled{1}, State: cache.Fresh, Age: time.Second, TTL: 59 * time.Second}, r)

				require.NoError(t, end(t.Context(), c))
				_, ok = c.HitAgain(&spot)
				require.False(t, ok)
				want, found := c.Hit("k")
				got, ok := c.HitAt(&spot, "k")
				require.Equal(t, found, ok)
				require.Equal(t, want, got)
			})
		})
	}
}

// The table hears of a value that is asked for all the time, or it would let go
// of it.
func TestHitAgainAsksTheTableNowAndThen(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Hour})
	_, err := c.Get(t.Context(), "k", value(1))
	require.NoError(t, err)
	var spot cache.Spot
	_, ok := c.HitAt(&spot, "k")
	hits := 0
	for ; ok && hits < 10_000; hits++ {
		_, ok = c.HitAgain(&spot)
	}
	assert.Greater(t, hits, 10)
	assert.Less(t, hits, 10_000)
	_, ok = c.HitAt(&spot, "k")
	assert.True(t, ok)
	assert.EqualValues(t, hits+1, c.Stats().Hits)
}

func TestSpotKeepsNothingAlive(t *testing.T) {
	c := open[*[4096]byte](t, cache.Config{Fresh: time.Hour})
	v := new([4096]byte)
	alive := weak.Make(v)
	_, err := c.Get(t.Context(), "k", value(v))
	v = nil
	require.NoError(t, err)
	var spot cache.Spot
	_, ok := c.HitAt(&spot, "k")
	require.True(t, ok)
	require.NoError(t, c.Invalidate(t.Context(), "k"))
	require.Eventually(t, func() bool { runtime.GC(); return alive.Value() == nil }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(&spot)
}

func TestSpotOfAnotherCacheIsNowhere(t *testing.T) {
	one := open[int](t, cache.Config{Fresh: time.Hour})
	_, err := one.Get(t.Context(), "k", value(1))
	require.NoError(t, err)
	for name, store := range map[string]cache.Store{
		"another memory": cache.NewMemory(1 << 20), "no memory": struct{ cache.Store }{cache.NewMemory(1 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			other := open[int](t, cache.Config{Fresh: time.Hour, Store: store})
			var spot cache.Spot
			_, ok := one.HitAt(&spot, "k")
			require.True(t, ok)
			_, ok = other.HitAgain(&spot)
			require.False(t, ok)
			_, ok = other.HitAt(&spot, "k")
			require.False(t, ok)
			for _, c := range []*cache.Cache[int]{one, other} {
				_, ok = c.HitAgain(&spot)
				require.False(t, ok, "nothing was found there")
			}
		})
	}
}

// meanwhile runs read over and over beside write, until that has returned.
func meanwhile(read func() bool, write func()) {
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for read() {
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	defer reader.Wait()
	defer close(stop)
	write()
}

// Who begins to read after a purge has ended sees nothing that was made before it.
func TestNoHitIsOlderThanAPurge(t *testing.T) {
	c := open[int64](t, cache.Config{Fresh: time.Hour})
	var made, purged atomic.Int64
	var spot cache.Spot
	meanwhile(func() bool {
		least := purged.Load()
		r, ok := c.HitAgain(&spot)
		if !ok {
			r, ok = c.HitAt(&spot, "k")
		}
		return !ok || assert.Greater(t, r.Value, least)
	}, func() {
		for range 1000 {
			_, err := c.Get(t.Context(), "k", func(context.Context) (int64, error) { return made.Add(1), nil })
			require.NoError(t, err)
			runtime.Gosched()
			upTo := made.Load()
			require.NoError(t, c.Invalidate(t.Context(), "k"))
			purged.Store(upTo)
		}
	})
	assert.Positive(t, c.Stats().Hits)
}

// A reader beside a writer that replaces a value finds the old one or the new one.
func TestReplacingLeavesNoGap(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Hour})
	_, err := c.Get(t.Context(), "k", value(0))
	require.NoError(t, err)
	meanwhile(func() bool {
		_, ok := c.Hit("k")
		return assert.True(t, ok)
	}, func() {
		for i := range 1000 {
			_, err := c.Refresh(t.Context(), "k", value(i))
			require.NoError(t, err)
		}
	})
}
