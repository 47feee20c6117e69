package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoize(t *testing.T) {
	c := open[string](t, cache.Config{Fresh: time.Minute})
	var n atomic.Int32
	square := cache.Memoize(c,
		func(x int) (string, error) {
			if x < 0 {
				return "", errors.New("negative")
			}
			return fmt.Sprint(x), nil
		},
		func(_ context.Context, x int) (string, error) { n.Add(1); return fmt.Sprint(x * x), nil })
	for range 3 {
		v, err := square(t.Context(), 12)
		require.NoError(t, err)
		assert.Equal(t, "144", v)
	}
	assert.EqualValues(t, 1, n.Load())
	_, err := square(t.Context(), -1)
	assert.ErrorContains(t, err, "negative")
}

func TestBadCallsAreRefused(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Minute})
	_, err := c.Get(t.Context(), "", value(1))
	assert.ErrorIs(t, err, cache.ErrInvalid)
	_, err = c.Get(t.Context(), "k", nil)
	assert.ErrorIs(t, err, cache.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Get(ctx, "k", unexpected[int](t))
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.Close())
	_, err = c.Get(t.Context(), "k", unexpected[int](t))
	assert.ErrorIs(t, err, cache.ErrClosed)
	require.NoError(t, c.Close(), "twice is fine")
}
