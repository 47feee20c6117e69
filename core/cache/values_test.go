package cache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// otherCodec is JSON under another name, as a later version of a program may
// have it.
type otherCodec struct{ cache.JSON }

func (otherCodec) Name() string { return "json-2" }

// TestCodecsOfARollingUpgrade: programs with different codecs share a Redis; each
// takes the other's values for misses and puts its own in their place.
func TestCodecsOfARollingUpgrade(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	config := func(codec cache.Codec) cache.Config {
		return cache.Config{Fresh: time.Minute, Codec: codec, Locks: manager(t, nodes.Clients()), Store: cache.NewRedis(nodes.Node(0).Client())}
	}
	before, after := open[string](t, config(cache.JSON{})), open[string](t, config(otherCodec{}))
	for _, c := range []*cache.Cache[string]{before, after, before} {
		r, err := c.Lookup(t.Context(), "k", value("v"))
		require.NoError(t, err)
		assert.Equal(t, cache.Fetched, r.State)
		assert.True(t, r.Stored)
		r, err = c.Lookup(t.Context(), "k", unexpected[string](t))
		require.NoError(t, err)
		assert.Equal(t, "v", r.Value)
	}
	assert.EqualValues(t, 2, before.Stats().Corrupt, "before the lock and with it")
	assert.EqualValues(t, 2, after.Stats().Corrupt)
}

func TestLargeValuesTravelCompressed(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	client := nodes.Node(0).Client()
	var caches [2]*cache.Cache[string]
	for i := range caches {
		caches[i] = open[string](t, cache.Config{Fresh: time.Minute, Locks: manager(t, nodes.Clients()), Store: cache.NewRedis(client)})
	}
	long := strings.Repeat("the same again, ", 10_000)
	_, err := caches[0].Get(t.Context(), "k", value(long))
	require.NoError(t, err)
	r, err := caches[1].Lookup(t.Context(), "k", unexpected[string](t))
	require.NoError(t, err)
	assert.Equal(t, long, r.Value)
	keys, err := nodes.Node(0).Keys("dlm:c1:")
	require.NoError(t, err)
	for _, key := range keys {
		if strings.Contains(key, "}:e:") {
			assert.Less(t, client.StrLen(t.Context(), key).Val(), int64(len(long)/10))
		}
	}
}

// TestServerClockSetBack: what was purged stays purged, nothing gets younger, and
// what has a deadline is stored all the same.
func TestServerClockSetBack(t *testing.T) {
	nodes := coretest.Embedded(t, 1)
	server := nodes.Node(0).Miniredis()
	at := time.Now()
	server.SetTime(at)
	s := cache.NewRedis(nodes.Clients()[0])
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	set := func(mark string) error {
		return s.Set(ctx, "k", cache.Item{Value: []byte("v"), TTL: time.Hour, Mark: mark, Tags: []string{"red"}})
	}
	get := func() cache.Item {
		it, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		return it
	}
	require.NoError(t, s.Delete(t.Context(), "k"))
	mark := get().Mark
	require.NoError(t, set(mark))
	left := get().TTL
	server.SetTime(at.Add(-24 * time.Hour))
	assert.LessOrEqual(t, get().TTL, left)
	require.NoError(t, s.DeleteTags(t.Context(), "red"))
	assert.Nil(t, get().Value, "purged by its tag")
	require.NoError(t, set(mark))
	assert.Nil(t, get().Value, "begun before its tag was purged")
	require.NoError(t, s.Delete(t.Context(), "k"))
	assert.ErrorIs(t, set(mark), cache.ErrFenced)
	require.NoError(t, set(get().Mark))
	assert.NotNil(t, get().Value)
	server.SetTime(at.Add(24 * time.Hour))
	require.NoError(t, set(get().Mark))
	server.SetTime(at.Add(24*time.Hour + patience/2))
	require.NoError(t, set(get().Mark))
	assert.Less(t, get().TTL, time.Hour-patience/4, "it aged on its way")
}

func TestDistinctKeysLeaveMemoryFlat(t *testing.T) {
	const limit = 256 << 10
	memory := cache.NewMemory(limit)
	c := open[json.Number](t, cache.Config{Fresh: time.Hour, Store: memory})
	for i := range 20_000 {
		_, err := c.Get(t.Context(), fmt.Sprint("key ", i), value(json.Number("1")))
		require.NoError(t, err)
		if i%1000 == 0 { // a burst may overshoot
			assert.LessOrEqual(t, memory.Usage().Bytes, uint64(limit)*3/2)
		}
	}
	u := memory.Usage()
	assert.LessOrEqual(t, u.Bytes, uint64(limit))
	assert.Less(t, u.Entries, limit/256)
	assert.Zero(t, c.Stats().InFlight)
}
