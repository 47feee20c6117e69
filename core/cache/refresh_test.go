package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackgroundRefreshesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute, Background: 3})
		for i := range 10 {
			_, err := c.Get(t.Context(), fmt.Sprint(i), value(1))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		for i := range 10 {
			r, err := c.Lookup(t.Context(), fmt.Sprint(i), func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil })
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
		}
		synctest.Wait()
		assert.Equal(t, 3, c.Stats().Background)
		assert.EqualValues(t, 7, c.Stats().Dropped)
		require.NoError(t, c.Close(), "Close waits for the refreshes")
		assert.EqualValues(t, 13, c.Stats().Fetches)
	})
}

func TestEarlyRefreshBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, EarlyBeta: 3})
		var n atomic.Int32
		fetch := func(context.Context) (int, error) { time.Sleep(time.Second); return int(n.Add(1)), nil }
		_, err := c.Get(t.Context(), "k", fetch)
		require.NoError(t, err)
		time.Sleep(45 * time.Second)
		for range 200 { // possible from 30 s before the expiry on, and near certain a second before it
			r, err := c.Lookup(t.Context(), "k", fetch)
			require.NoError(t, err)
			require.Equal(t, cache.Fresh, r.State, "nobody waits for an early refresh, and nobody gets a stale value")
			time.Sleep(100 * time.Millisecond)
		}
		assert.EqualValues(t, 2, n.Load())
	})
}

func TestRefreshFetchesWhateverIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Hour, Wait: time.Second, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		_, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		v, err := c.Refresh(t.Context(), "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		r, ok := c.Hit("k")
		assert.True(t, ok)
		assert.Equal(t, 2, r.Value)

		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.Refresh(t.Context(), "k", func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 3, nil })
		}()
		synctest.Wait()
		_, err = c.Refresh(t.Context(), "k", unexpected[int](t))
		assert.ErrorIs(t, err, core.ErrTimeout)
		<-done
		boom := errors.New("boom")
		_, err = c.Refresh(t.Context(), "k", func(context.Context) (int, error) { return 0, boom })
		assert.ErrorIs(t, err, boom, "a refresh that fails says so although a value is stored")
	})
}
