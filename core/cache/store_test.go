package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStores is what every Store promises.
func TestStores(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for name, s := range map[string]cache.Store{
		"memory":   cache.NewMemory(1 << 20),
		"redis":    cache.NewRedis(nodes.Node(0).Client()),
		"tiered":   cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(nodes.Node(0).Client(), cache.WithPrefix("tiered"))),
		"ring":     cache.NewRedis(ringClient(t, nodes), cache.WithPrefix("ring")),
		"cluster":  cache.NewRedis(coretest.Cluster(t, 3).Client()),
		"sentinel": cache.NewRedis(coretest.Sentinel(t).Client()),
	} {
		t.Run(name, func(t *testing.T) { storeContract(t, s) })
	}
}

func storeContract(t *testing.T, s cache.Store) {
	ctx := t.Context()
	get := func(key string) cache.Item {
		it, err := s.Get(ctx, key)
		require.NoError(t, err, "%q", key)
		return it
	}
	set := func(key, mark, value string, fence uint64, tags ...string) error {
		return s.Set(ctx, key, cache.Item{Value: []byte(value), TTL: time.Minute, Mark: mark, Fence: fence, Tags: tags})
	}
	t.Run("any bytes are a key", func(t *testing.T) {
		keys := []string{"plain", "{tag}", "a\x00b", "\xff\xfe", "*?[", strings.Repeat("x", 4096) + "1", strings.Repeat("x", 4096) + "2"}
		for i, key := range keys {
			require.NoError(t, set(key, get(key).Mark, fmt.Sprint(i), 0))
		}
		for i, key := range keys {
			it := get(key)
			assert.Equal(t, fmt.Sprint(i), string(it.Value))
			assert.InDelta(t, time.Minute, it.TTL, float64(5*time.Second))
		}
		require.NoError(t, s.Delete(ctx, keys...))
		for _, key := range keys {
			assert.Nil(t, get(key).Value)
		}
	})
	t.Run("a purge is not undone", func(t *testing.T) {
		mark := get("p").Mark
		require.NoError(t, s.Delete(ctx, "p"))
		assert.ErrorIs(t, set("p", mark, "old", 9), cache.ErrFenced)
		require.NoError(t, set("p", get("p").Mark, "new", 10))
		assert.Equal(t, "new", string(get("p").Value))
	})
	t.Run("a later holder's fill stays", func(t *testing.T) {
		mark := get("f").Mark
		require.NoError(t, set("f", mark, "later", 1<<60+1))
		assert.ErrorIs(t, set("f", mark, "earlier", 1<<60), cache.ErrFenced)
		assert.Equal(t, "later", string(get("f").Value))
		// Tokens that stepped back, because the lock service lost its data, do not
		// lock the entry: what was there when the fetch began may be replaced.
		require.NoError(t, set("f", get("f").Mark, "after the loss", 1))
		assert.EqualValues(t, 1, get("f").Fence)
	})
	t.Run("tags", func(t *testing.T) {
		require.NoError(t, set("t1", get("t1").Mark, "1", 0, "red", "round"))
		require.NoError(t, set("t2", get("t2").Mark, "2", 0, "blue"))
		get("t1").Tags[0] = "whoever gets them may change them"
		assert.Equal(t, []string{"red", "round"}, get("t1").Tags)
		inFlight := get("t3").Mark
		require.NoError(t, s.DeleteTags(ctx, "red"))
		assert.Nil(t, get("t1").Value)
		assert.Equal(t, "2", string(get("t2").Value))
		if err := set("t3", inFlight, "3", 0, "red"); err != nil {
			assert.ErrorIs(t, err, cache.ErrFenced)
		}
		assert.Nil(t, get("t3").Value, "begun before its tag was purged")
		require.NoError(t, set("t3", get("t3").Mark, "4", 0, "red"))
		assert.Equal(t, "4", string(get("t3").Value))
	})
	t.Run("nonsense", func(t *testing.T) {
		assert.ErrorIs(t, set("n", "not a mark", "1", 0), cache.ErrInvalid)
		assert.ErrorIs(t, s.Set(ctx, "n", cache.Item{Value: []byte("x")}), cache.ErrInvalid)
		require.NoError(t, s.Delete(ctx))
		require.NoError(t, s.DeleteTags(ctx))
	})
}

func TestRedisKeysAreBoundedAndExpire(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	s := cache.NewRedis(nodes.Node(0).Client(), cache.WithPrefix(strings.Repeat("p", 32)))
	for _, n := range []int{1, 127, 128, 129, 10_000} {
		key := strings.Repeat("k", n)
		it, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		require.NoError(t, s.Set(t.Context(), key, cache.Item{Value: []byte("v"), TTL: time.Minute, Mark: it.Mark}))
	}
	keys, err := nodes.Node(0).Keys("")
	require.NoError(t, err)
	entries := 0
	for _, key := range keys {
		assert.LessOrEqual(t, len(key), 200)
		if strings.Contains(key, "}:e:") || strings.Contains(key, "}:h:") {
			entries++
			assert.Positive(t, nodes.Node(0).Client().PTTL(t.Context(), key).Val(), "%q never expires", key)
		}
	}
	assert.Equal(t, 5, entries)
}

// TestLostGenerations: what bounds purges may be evicted at any time.
func TestLostGenerations(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	client := nodes.Node(0).Client()
	s := cache.NewRedis(client)
	ctx := t.Context()
	set := func(mark string) error {
		return s.Set(ctx, "k", cache.Item{Value: []byte("v"), TTL: time.Minute, Mark: mark, Tags: []string{"red"}})
	}
	mark := func() string {
		it, err := s.Get(ctx, "k")
		require.NoError(t, err)
		return it.Mark
	}
	for _, lost := range []string{"}:g", "}:b", "}:e"} {
		require.NoError(t, s.Delete(ctx, "k")) // so that there is a generation to lose
		require.NoError(t, set(mark()))
		before := mark()
		require.NoError(t, s.DeleteTags(ctx, "red"))
		require.NoError(t, s.Delete(ctx, "other"))
		keys, err := nodes.Node(0).Keys("dlm:c1:{")
		require.NoError(t, err)
		for _, key := range keys {
			if strings.HasSuffix(key, lost) {
				require.NoError(t, client.Del(ctx, key).Err())
			}
		}
		if lost == "}:b" {
			require.NoError(t, s.DeleteTags(ctx, "blue")) // starts the buckets anew
		}
		it, err := s.Get(ctx, "k")
		require.NoError(t, err)
		assert.Nil(t, it.Value, "purged by tag, %s lost", lost)
		_ = set(before)
		it, err = s.Get(ctx, "k")
		require.NoError(t, err)
		assert.Nil(t, it.Value, "begun before the purge, %s lost", lost)
	}
}
