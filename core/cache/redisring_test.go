package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestShardBringsNothingBack: a shard misses purges, whose errors nobody heeds,
// and returns with what it had. Whoever reads knows nothing of the purges.
func TestShardBringsNothingBack(t *testing.T) {
	t.Parallel()
	for _, outage := range []struct {
		name       string
		begin, end func(*coretest.Node) error
	}{
		{"killed", (*coretest.Node).Kill, (*coretest.Node).Restart},
		{"frozen", (*coretest.Node).Freeze, (*coretest.Node).Thaw},
	} {
		t.Run(outage.name, func(t *testing.T) {
			const n = 60 // keys, so that every shard owns some of each kind
			ctx := t.Context()
			nodes := coretest.Redis(t, 3, coretest.WithPersistence())
			connect := func(timeout time.Duration) *cache.Redis {
				return cache.NewRedis(ringClientWith(t, nodes, redis.RingOptions{ReadTimeout: timeout, MaxRetries: -1}))
			}
			purger, reader := connect(2*time.Second), connect(patience) // the shards that are up must not miss the purge
			fill := func(key, value string, tags ...string) {
				it, err := reader.Get(ctx, key)
				require.NoError(t, err)
				require.Nil(t, it.Value, key)
				require.NoError(t, reader.Set(ctx, key, cache.Item{Value: []byte(value), TTL: time.Minute, Mark: it.Mark, Tags: tags}))
			}
			var keys, tags []string
			for i := range n {
				keys, tags = append(keys, fmt.Sprint("k", i)), append(tags, fmt.Sprint("t", i))
				fill(keys[i], "old")
				fill("tagged "+keys[i], "old", tags[i])
			}
			victim := nodes.Node(1)
			require.NoError(t, outage.begin(victim))
			assert.Error(t, purger.Delete(ctx, keys...))
			assert.Error(t, purger.DeleteTags(ctx, tags...))
			require.NoError(t, outage.end(victim))
			back := 0 // gets that the Ring has sent to all shards again
			require.Eventually(t, func() bool {
				for _, key := range keys {
					for _, key := range []string{key, "tagged " + key} {
						it, err := reader.Get(ctx, key)
						if assert.Nil(t, it.Value, key); err != nil {
							return false
						}
						back++
					}
				}
				return true
			}, patience, time.Millisecond)
			assert.GreaterOrEqual(t, back, 2*n)
			for i := range n {
				fill(keys[i], "new")
				fill("tagged "+keys[i], "new", tags[i])
				it, err := reader.Get(ctx, keys[i])
				require.NoError(t, err)
				assert.Equal(t, "new", string(it.Value))
			}
		})
	}
}

// TestMissedPurgeIsRepeated: the shard that missed it is purged when it is back, so
// that its word may be taken when the other shard of an entry goes down later.
func TestMissedPurgeIsRepeated(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3, coretest.WithPersistence())
	connect := func() *cache.Redis {
		return cache.NewRedis(ringClientWith(t, nodes, redis.RingOptions{ReadTimeout: 100 * time.Millisecond, MaxRetries: -1}))
	}
	purger := open[string](t, cache.Config{
		Fresh: time.Hour, StoreTimeout: time.Second, Store: cache.NewTiered(cache.NewMemory(1<<20), connect()),
	})
	// The time-outs are the purge's: a slow machine fills the store all the same.
	filler := open[string](t, cache.Config{
		Fresh: time.Hour,
		Store: cache.NewRedis(ringClientWith(t, nodes, redis.RingOptions{ReadTimeout: patience, MaxRetries: -1})),
	})
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprint("k", i))
		r, err := filler.Lookup(t.Context(), keys[i], value("old"))
		require.NoError(t, err)
		require.True(t, r.Stored)
	}
	entries := func(n *coretest.Node) (found int) {
		all, err := n.Keys("dlm:c1:")
		require.NoError(t, err)
		for _, key := range all {
			if strings.Contains(key, "}:e:") {
				found++
			}
		}
		return found
	}
	require.NotZero(t, entries(nodes.Node(0)))
	require.NoError(t, nodes.Node(0).Kill())
	assert.ErrorIs(t, purger.Invalidate(t.Context(), keys...), cache.ErrStore)
	require.NoError(t, nodes.Node(0).Restart()) // with its entries, for as long as the purge takes to be repeated
	require.Eventually(t, func() bool { return entries(nodes.Node(0)) == 0 }, patience, 10*time.Millisecond)
	reader := cache.NewRedis(ringClientWith(t, nodes, redis.RingOptions{ReadTimeout: patience, MaxRetries: -1}))
	for _, later := range nodes.All()[1:] {
		require.NoError(t, later.Kill())
		for _, key := range keys {
			it, err := reader.Get(t.Context(), "\x00"+key)
			require.NoError(t, err)
			assert.Nil(t, it.Value, key)
		}
		require.NoError(t, later.Restart())
	}
}

// TestRingOutlivesAShard: whichever shard dies, entries are still there, fetches
// under way are stored, and purges hold, before and after the Ring has noticed.
func TestRingOutlivesAShard(t *testing.T) {
	t.Parallel()
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
	for i := range n {
		require.NoError(t, set(name("late", i), get(name("late", i)).Mark))
	}
	require.NoError(t, nodes.Node(1).Restart())
	require.Eventually(t, func() bool { return ring.Len() == 3 }, patience, 10*time.Millisecond)
	for i := range n {
		assert.NotNil(t, get(name("late", i)).Value, "filled while a shard was down, looked for when it is back")
	}
}
