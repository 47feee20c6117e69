package cache_test

import (
	"testing"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigNamesEveryMistake(t *testing.T) {
	_, err := cache.New[int](cache.Config{Fresh: -1, Jitter: 1, EarlyBeta: -1, Negative: 1, Background: -1, Namespace: "a\x00"})
	require.ErrorIs(t, err, cache.ErrInvalid)
	for _, field := range []string{"Fresh", "Jitter", "EarlyBeta", "NegativeErrors", "Background", "Namespace"} {
		assert.ErrorContains(t, err, field+":")
	}
	_, err = cache.New[int](cache.Config{})
	assert.ErrorContains(t, err, "Locks:")
}
