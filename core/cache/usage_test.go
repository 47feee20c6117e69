package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
)

func TestUsageFollowsWhatIsKept(t *testing.T) {
	m := cache.NewMemory(1 << 20)
	require.Equal(t, cache.Usage{Limit: 1 << 20}, m.Usage())
	const entries, size = 100, 1000
	for i := range entries {
		require.NoError(t, m.Set(t.Context(), fmt.Sprint(i), cache.Item{Value: make([]byte, size), TTL: time.Minute}))
	}
	require.Eventually(t, func() bool { return m.Usage().Entries == entries }, 10*time.Second, time.Millisecond)
	full := m.Usage()
	require.Greater(t, full.Bytes, uint64(entries*size))
	require.Less(t, full.Bytes, uint64(2*entries*size))
	require.NoError(t, m.Delete(t.Context(), "0"))
	require.Eventually(t, func() bool { return m.Usage().Bytes < full.Bytes }, 10*time.Second, time.Millisecond)
}

func TestUsageOfATieredIsThatOfItsMemory(t *testing.T) {
	near := cache.NewMemory(1 << 20)
	values, err := cache.New[string](cache.Config{Store: cache.NewTiered(near, cache.NewMemory(1<<20)), Fresh: time.Minute})
	require.NoError(t, err)
	defer func() { require.NoError(t, values.Close()) }()
	_, err = values.Get(t.Context(), "k", func(context.Context) (string, error) { return "v", nil })
	require.NoError(t, err)
	require.Equal(t, 1, near.Usage().Entries)
	require.Equal(t, near.Usage(), cache.NewTiered(near, cache.NewMemory(1)).Usage())
}

func ExampleMemory_Usage() {
	m := cache.NewMemory(64 << 20)
	_ = m.Set(context.Background(), "k", cache.Item{Value: []byte("v"), TTL: time.Minute})
	u := m.Usage()
	fmt.Println(u.Bytes > 0, u.Limit)
	// Output: true 67108864
}
