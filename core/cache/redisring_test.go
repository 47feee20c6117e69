package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestRingOutlivesAShard: whichever shard dies, entries are still there, fetches
// under way are stored, and purges hold, before and after the Ring has noticed.
func TestRingOutlivesAShard(t *testing.T) {
	const n = 60 // keys, so that every shard owns some of each kind
	nodes := coretest.Redis(t, 3)
	ring := ringClient(t, nodes)
	s := cache.NewRedis(ring)
	ctx := t.Context()
	set := func(key, mark string) error {
		return s.Set(ctx, key, cache.Item{Value: []byte("v"), TTL: time.Minute, Mark: mark, Tags: []string{key}})
	}
	get := func(key string) cache.Item {
		it, err := s.Get(ctx, key)
		require.NoError(t, err)
		return it
	}
	name := func(kind string, i int) string { return fmt.Sprint(kind, i) }
	marks, purged := map[string]string{}, map[string]string{}
	for i := range n {
		require.NoError(t, set(name("kept", i), get(name("kept", i)).Mark))
		require.NoError(t, set(name("tag", i), get(name("tag", i)).Mark))
		marks[name("fetch", i)] = get(name("fetch", i)).Mark
		purged[name("gone", i)] = get(name("gone", i)).Mark
	}
	for i := range n {
		require.NoError(t, s.DeleteTags(ctx, name("tag", i), name("gone", i)))
		require.NoError(t, s.Delete(ctx, name("gone", i)))
	}
	require.NoError(t, nodes.Node(1).Kill())
	check := func(when string) {
		for i := range n {
			assert.NotNil(t, get(name("kept", i)).Value, when)
			assert.Nil(t, get(name("tag", i)).Value, when)
		}
		for key, mark := range marks {
			require.NoError(t, set(key, mark), when)
			assert.NotNil(t, get(key).Value, when)
		}
		for key, mark := range purged {
			assert.ErrorIs(t, set(key, mark), cache.ErrFenced, when)
			assert.Nil(t, get(key).Value, when)
		}
	}
	check("at once")
	assert.Error(t, s.Delete(ctx, "other"), "the dead shard was not purged")
	require.Eventually(t, func() bool { return ring.Len() == 2 }, 20*time.Second, 10*time.Millisecond)
	check("noticed")
	assert.Error(t, s.DeleteTags(ctx, "other"), "the dead shard was not purged")
	assert.Nil(t, get("other").Value)
}
