package cache_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
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

var distinctKeys = flag.Int("keys", 40_000, "how many keys TestDistinctKeysLeaveMemoryFlat asks for; a million take 20 s without -race")

// TestDistinctKeysLeaveMemoryFlat: many times what there is room for, each key with
// a fetch and a tag of its own, half of them failing, not to be kept, or purged.
func TestDistinctKeysLeaveMemoryFlat(t *testing.T) {
	const limit = 256 << 10
	memory := cache.NewMemory(limit)
	missing := errors.New("missing")
	c := open[*page](t, cache.Config{
		Fresh: time.Hour, StaleIfError: time.Hour, Negative: time.Hour, NegativeErrors: []error{missing}, Store: memory,
	})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range *distinctKeys {
		key := fmt.Sprint("key ", i)
		p, want := &page{key, cache.Policy{Fresh: time.Hour, Tags: []string{key}}}, error(nil)
		switch i % 6 {
		case 0:
			want = missing
		case 1:
			p.policy.NoStore, p.policy.HitForMiss = true, time.Hour
		}
		_, err := c.Get(t.Context(), key, func(context.Context) (*page, error) { return p, want })
		require.ErrorIs(t, err, want)
		if i%6 == 2 {
			require.NoError(t, c.Invalidate(t.Context(), key))
			require.NoError(t, c.InvalidateTag(t.Context(), key))
		}
		if i%1000 == 0 { // a burst may overshoot
			assert.LessOrEqual(t, memory.Usage().Bytes, uint64(limit)*3/2)
		}
	}
	u := memory.Usage()
	assert.LessOrEqual(t, u.Bytes, uint64(limit))
	assert.Less(t, u.Entries, limit/256)
	assert.Zero(t, c.Stats().InFlight)
	assert.Zero(t, c.Tables(), "something is remembered of keys that nobody calls")
	assert.Less(t, heap(), before+8*limit, "after %d keys", *distinctKeys) // the tables of an empty Memory, too
}

// slowToSet is a Store that takes its time.
type slowToSet struct{ cache.Store }

func (s slowToSet) Set(ctx context.Context, key string, it cache.Item) error {
	time.Sleep(200 * time.Millisecond)
	return s.Store.Set(ctx, key, it)
}

func TestValueAgesWhileASlowStoreTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[string](t, cache.Config{Fresh: time.Second, Store: cache.NewTiered(cache.NewMemory(1<<20), slowToSet{cache.NewMemory(1 << 20)})})
		_, err := c.Get(t.Context(), "k", value("v"))
		require.NoError(t, err)
		r, ok := c.Hit("k")
		require.True(t, ok)
		assert.Equal(t, 200*time.Millisecond, r.Age)
		time.Sleep(r.TTL)
		_, ok = c.Hit("k")
		assert.False(t, ok, "a second after it was made")
	})
}

func TestPurgesOfManyKeysAndTagsAreBounded(t *testing.T) {
	client := coretest.Redis(t, 1).Node(0).Client()
	s := cache.NewRedis(client)
	var names []string
	for i := range 40_000 {
		names = append(names, fmt.Sprint("name ", i))
	}
	require.NoError(t, s.Delete(t.Context(), names...))
	require.NoError(t, s.DeleteTags(t.Context(), names[:5000]...))
	require.NoError(t, s.DeleteTags(t.Context(), names...))
	assert.LessOrEqual(t, client.DBSize(t.Context()).Val(), int64(4096+2), "purge generations, the tags, and their epoch")
	assert.LessOrEqual(t, client.HLen(t.Context(), "dlm:c1:{tags}:b").Val(), int64(16384+1))
}
