package cache_test

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// purgeAround purges many keys, one of them beside key wherever a process' memory
// counts purges for several keys, and none where the store does.
func purgeAround(t *testing.T, c *cache.Cache[int], key string) {
	bucket := func(key string) uint32 {
		h := fnv.New32a()
		_, _ = h.Write([]byte("\x00" + key))
		return h.Sum32() % 4096
	}
	var others []string
	for i := range 4000 {
		if other := fmt.Sprint("other", i); bucket(other) != bucket(key) {
			others = append(others, other)
		}
	}
	assert.NoError(t, c.Invalidate(t.Context(), others...))
}

// TestOwnFillReplacesWhatMemoryHolds: a value that this process has stored, and that
// its memory cannot take because something beside it was purged meanwhile, is not
// followed by the one from before.
func TestOwnFillReplacesWhatMemoryHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*cache.Cache[int]{
		"tiered": fleet[int](t, coretest.Redis(t, 1), 1, cache.Config{Fresh: time.Hour})[0],
		"memory": open[int](t, cache.Config{Fresh: time.Hour}),
	} {
		t.Run(name, func(t *testing.T) {
			v, err := c.Get(t.Context(), "k", value(1))
			require.NoError(t, err)
			require.Equal(t, 1, v)
			v, err = c.Refresh(t.Context(), "k", func(context.Context) (int, error) {
				purgeAround(t, c, "k")
				return 2, nil
			})
			require.NoError(t, err)
			require.Equal(t, 2, v)
			v, err = c.Get(t.Context(), "k", value(2))
			require.NoError(t, err)
			assert.Equal(t, 2, v)
		})
	}
}

// TestUnconfirmedFillReplacesWhatMemoryHolds: a store that has taken a value without
// being heard to say so gives it to everybody; its own process has no older one.
func TestUnconfirmedFillReplacesWhatMemoryHolds(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2)
	proxy := coretest.ProxyTo(t, nodes.Node(1).URL())
	client := dialURL(proxy.URL())
	t.Cleanup(func() { _ = client.Close() })
	c := open[int](t, cache.Config{
		Fresh: time.Hour, Locks: manager(t, nodes.Clients()[:1]), StoreTimeout: time.Second,
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)),
	})
	require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
	get := func(v int) int {
		v, err := c.Get(t.Context(), "k", value(v))
		require.NoError(t, err)
		return v
	}
	require.Eventually(t, func() bool {
		r, err := c.Lookup(t.Context(), "k", value(1))
		return err == nil && (r.Stored || r.State == cache.Fresh)
	}, patience, time.Millisecond)
	script, err := os.ReadFile("lua/set.lua")
	require.NoError(t, err)
	sum := sha1.Sum(script) //nolint:gosec // see above
	proxy.DropRepliesTo(hex.EncodeToString(sum[:]))
	r, err := c.Do(t.Context(), cache.Call[int]{Key: "k", Fetch: value(2), Force: true})
	require.NoError(t, err)
	require.False(t, r.Stored)
	require.NoError(t, proxy.Resume())
	assert.Equal(t, 2, get(2))
}
