package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
)

// A value that a fetch replaces is no hit.
func TestOnlyWhatIsServedIsAHit(t *testing.T) {
	t.Run("refresh", func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Hour})
		for range 2 {
			_, err := c.Refresh(t.Context(), "k", value(1))
			require.NoError(t, err)
		}
		require.Zero(t, c.Stats().Hits)
	})
	t.Run("early", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			// So that every hit is early: the fetch takes longer than the value lives.
			c := open[int](t, cache.Config{Fresh: time.Second, EarlyBeta: 1e5})
			fetch := func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }
			_, err := c.Get(t.Context(), "k", fetch)
			require.NoError(t, err)
			r, err := c.Lookup(t.Context(), "k", fetch)
			require.NoError(t, err)
			require.Equal(t, cache.Fresh, r.State)
			time.Sleep(2 * time.Hour)
			require.EqualValues(t, 2, c.Stats().Fetches)
			require.EqualValues(t, 1, c.Stats().Hits)
		})
	})
}

func TestErrorsNameTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed *cache.Error
		c := open[int](t, cache.Config{Fresh: time.Hour})
		brief, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		_, err := c.Do(t.Context(), cache.Call[int]{Key: "k", Serial: true, Fetch: func(context.Context) (int, error) {
			_, err := c.Do(brief, cache.Call[int]{Key: "k", Serial: true, Wait: time.Hour, Fetch: value(1)})
			return 0, err
		}})
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "lookup", failed.Op)

		c = open[int](t, cache.Config{Fresh: time.Hour, OnStoreFailure: cache.FailClosed, Store: brokenStore{func() { panic("store") }}})
		_, err = c.Refresh(t.Context(), "k", value(1))
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "refresh", failed.Op)
	})
}
