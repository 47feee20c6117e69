package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without Decline the second caller would wait for the first one's hour.
func TestDeclineFreesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute})
		var fetches atomic.Int32
		call := cache.Call[int]{Key: "k", Inline: true, Wait: 2 * time.Hour, Fetch: func(ctx context.Context) (int, error) {
			n := int(fetches.Add(1))
			time.Sleep(time.Second)
			cache.Decline(ctx, time.Hour)
			cache.Decline(ctx, time.Hour)
			time.Sleep(time.Hour)
			return n, nil
		}}
		begun := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				r, err := c.Do(context.Background(), call)
				assert.NoError(t, err)
				assert.Equal(t, cache.Fetched, r.State)
				assert.False(t, r.Stored)
			})
		}
		wg.Wait()
		require.EqualValues(t, 3, fetches.Load())
		require.Equal(t, time.Hour+2*time.Second, time.Since(begun), "all of them at the same time")
	})
}

func TestDeclinedCallsOfLaterCallersRunAtOnce(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Minute})
	both := make(chan struct{})
	var inside atomic.Int32
	call := cache.Call[int]{Key: "k", Inline: true, Fetch: func(ctx context.Context) (int, error) {
		cache.Decline(ctx, time.Hour)
		if inside.Add(1) == 2 {
			close(both)
		}
		<-both
		return 1, nil
	}}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = c.Do(context.Background(), call) })
	}
	wg.Wait()
	require.NoError(t, c.Close())
}

func TestPanicAfterDeclineIsTheCallersAlone(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Minute})
	require.PanicsWithValue(t, "late", func() {
		_, _ = c.Do(context.Background(), cache.Call[int]{Key: "k", Inline: true, Fetch: func(ctx context.Context) (int, error) {
			cache.Decline(ctx, 0)
			panic("late")
		}})
	})
	v, err := c.Get(context.Background(), "k", func(context.Context) (int, error) { return 2, nil })
	require.NoError(t, err)
	require.Equal(t, 2, v)
}

func TestDeclineElsewhereDoesNothing(t *testing.T) {
	cache.Decline(context.Background(), time.Hour)
	c := open[int](t, cache.Config{Fresh: time.Minute})
	fetch := func(ctx context.Context) (int, error) { cache.Decline(ctx, time.Hour); return 1, nil }
	for range 2 { // no Inline, so the value is stored
		r, err := c.Lookup(context.Background(), "k", fetch)
		require.NoError(t, err)
		require.Equal(t, 1, r.Value)
	}
	require.True(t, func() bool { _, ok := c.Peek(context.Background(), "k"); return ok }())
}

// A fetch that looks its own key up would wait for itself, in one step or two.
func TestAFetchThatWaitsForItselfIsToldSo(t *testing.T) {
	for name, inline := range map[string]bool{"inline": true, "on a goroutine of the Cache": false} {
		t.Run(name, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Wait: time.Hour})
			again := func(ctx context.Context) (int, error) {
				return c.Get(ctx, "k", func(context.Context) (int, error) { return 3, nil })
			}
			between := func(ctx context.Context) (int, error) { return c.Get(ctx, "other", again) }
			for _, fetch := range []func(context.Context) (int, error){again, between} {
				_, err := c.Do(context.Background(), cache.Call[int]{Key: "k", Inline: inline, Fetch: fetch})
				require.ErrorIs(t, err, core.ErrDeadlock)
			}
		})
	}
}
