package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNegativeCaching(t *testing.T) {
	missing := errors.New("no such user")
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Hour, Negative: time.Minute, NegativeErrors: []error{missing}})
		var tries atomic.Int32
		fail := func(context.Context) (int, error) { tries.Add(1); return 0, fmt.Errorf("user 7: %w", missing) }
		for range 5 {
			_, err := c.Get(t.Context(), "k", fail)
			require.ErrorIs(t, err, missing)
			require.ErrorContains(t, err, "user 7")
		}
		assert.EqualValues(t, 1, tries.Load())
		_, ok := c.Peek(t.Context(), "k")
		assert.False(t, ok)
		time.Sleep(time.Minute)
		v, err := c.Get(t.Context(), "k", value(7))
		require.NoError(t, err)
		assert.Equal(t, 7, v)
		other := errors.New("other")
		for range 2 {
			_, err := c.Get(t.Context(), "x", func(context.Context) (int, error) { tries.Add(1); return 0, other })
			require.ErrorIs(t, err, other)
		}
		assert.EqualValues(t, 3, tries.Load(), "errors that are not named are not remembered")
	})
}
