package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/require"
)

// crowd counts how many fetch at once, a second each.
type crowd struct{ now, most, runs int }

func (c *crowd) fetch(context.Context) (string, error) {
	c.now++
	c.runs++
	c.most = max(c.most, c.now)
	time.Sleep(time.Second)
	c.now--
	return "v", nil
}

// Whatever its kind, a call that fetches without a Manager has its turn: under
// the race detector crowd needs no lock of its own.
func TestCallsWithoutAManagerTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[string](t, cache.Config{Fresh: time.Minute, Wait: time.Minute})
		var (
			inside  crowd
			callers sync.WaitGroup
		)
		for _, call := range []cache.Call[string]{
			{Key: "a", Force: true}, {Key: "a", Force: true}, {Key: "a", Force: true},
			{Key: "a", Serial: true}, {Key: "a", Serial: true},
			{Key: "a"}, {Key: "a", Inline: true},
			{Key: "b", Lock: "cache::a"}, {Key: "c", Lock: "cache::a", Serial: true},
		} {
			call.Fetch = inside.fetch
			callers.Go(func() {
				_, err := c.Do(t.Context(), call)
				require.NoError(t, err)
			})
		}
		callers.Wait()
		require.Equal(t, 1, inside.most)
		require.GreaterOrEqual(t, inside.runs, 5, "the three that must, and those of other keys")
	})
}

func TestWaitForATurnWithoutAManagerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[string](t, cache.Config{Fresh: time.Minute, Wait: time.Second})
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second/2)
		defer hangUp()
		_, err := c.Refresh(t.Context(), "k", func(inside context.Context) (string, error) {
			begun := time.Now()
			_, err := c.Refresh(t.Context(), "k", unexpected[string](t))
			require.ErrorIs(t, err, core.ErrTimeout)
			require.Equal(t, time.Second, time.Since(begun))

			_, err = c.Refresh(ctx, "k", unexpected[string](t))
			require.ErrorIs(t, err, context.DeadlineExceeded)

			begun = time.Now()
			_, err = c.Refresh(inside, "k", unexpected[string](t))
			require.ErrorIs(t, err, core.ErrDeadlock, "it would wait for itself")
			require.Zero(t, time.Since(begun))
			return "v", nil
		})
		require.NoError(t, err)
		_, err = c.Refresh(t.Context(), "k", value("again"))
		require.NoError(t, err, "and the lock is free")
	})
}
