package cache_test

import (
	"context"
	"errors"
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

func TestContentionOnAStaleValue(t *testing.T) {
	slow := func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil }
	for _, tc := range []struct {
		contention cache.Contention
		wait       time.Duration
		state      cache.State
		after      time.Duration
		err        error
	}{
		{cache.StaleFirst, 0, cache.Stale, 0, nil},
		{cache.FreshFirst, 0, cache.Shared, time.Second, nil},
		{cache.FreshFirst, time.Millisecond, cache.Stale, time.Millisecond, nil},
		{cache.FreshFirst, -1, cache.Stale, 0, nil},
		{cache.FreshOnly, 0, cache.Shared, time.Second, nil},
		{cache.FreshOnly, time.Millisecond, 0, time.Millisecond, core.ErrTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			_, err := c.Get(t.Context(), "k", value(1))
			require.NoError(t, err)
			time.Sleep(time.Minute)
			go func() { _, _ = c.Do(t.Context(), cache.Call[int]{Key: "k", Fetch: slow, Contention: cache.FreshOnly}) }()
			synctest.Wait()
			begun := time.Now()
			r, err := c.Do(t.Context(), cache.Call[int]{Key: "k", Fetch: slow, Contention: tc.contention, Wait: tc.wait})
			assert.ErrorIs(t, err, tc.err)
			assert.Equal(t, tc.state, r.State)
			assert.Equal(t, tc.after, time.Since(begun))
		})
	}
}

func TestInlineStaleCall(t *testing.T) {
	t.Run("with Background refreshes behind the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			call := cache.Call[int]{Key: "k", Inline: true, Fetch: value(1), Background: value(2)}
			_, err := c.Do(t.Context(), call)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			call.Fetch = unexpected[int](t)
			ctx, cancel := context.WithCancel(t.Context())
			r, err := c.Do(ctx, call)
			cancel() // the caller's end is not the refresh's
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			synctest.Wait()
			r, ok := c.Hit("k")
			assert.True(t, ok)
			assert.Equal(t, 2, r.Value)
		})
	})
	t.Run("without it the winner refreshes and the others get the stale value", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			call := cache.Call[int]{Key: "k", Inline: true, Fetch: value(1)}
			_, err := c.Do(t.Context(), call)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			call.Fetch = func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil }
			var wg sync.WaitGroup
			wg.Go(func() {
				r, err := c.Do(t.Context(), call)
				assert.NoError(t, err)
				assert.Equal(t, cache.Fetched, r.State)
				assert.True(t, r.Expired)
			})
			synctest.Wait()
			r, err := c.Do(t.Context(), call)
			assert.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			wg.Wait()
		})
	})
}

func TestStaleIfError(t *testing.T) {
	boom := errors.New("boom")
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, StaleIfError: time.Hour, RetryAfter: 10 * time.Second})
		_, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		var tries atomic.Int32
		fail := func(context.Context) (int, error) { tries.Add(1); return 0, boom }
		for range 100 { // 100 s of calls, one a second
			r, err := c.Lookup(t.Context(), "k", fail)
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			assert.ErrorIs(t, r.Err, boom)
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 10, tries.Load(), "one try per RetryAfter")
		time.Sleep(time.Hour)
		_, err = c.Get(t.Context(), "k", fail)
		assert.ErrorIs(t, err, boom, "too old even for an error")
		v, err := c.Get(t.Context(), "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
	})
}
