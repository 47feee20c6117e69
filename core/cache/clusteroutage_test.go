package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// keysOn are the keys of a Cache without a namespace whose entries a node has.
func keysOn(t *testing.T, n *coretest.Node) (keys []string) {
	all, err := n.Keys("dlm:c1:")
	require.NoError(t, err)
	for _, name := range all {
		if _, key, ok := strings.Cut(name, "}:e:\x00"); ok {
			keys = append(keys, key)
		}
	}
	require.NotEmpty(t, keys)
	return keys
}

// TestClusterLosesAMaster: its keys fail open, within the store's time, and the
// others stay what they were; when it returns, empty, its keys are stored again.
func TestClusterLosesAMaster(t *testing.T) {
	cluster := coretest.Cluster(t, 3, coretest.WithConfig("cluster-require-full-coverage", "no"))
	client := clusterClient(t, cluster)
	c := open[string](t, cache.Config{
		Fresh: time.Hour, StoreTimeout: outageTimeout, Locks: manager(t, coretest.Redis(t, 1).Clients()), Store: cache.NewRedis(client),
	})
	for i := range 60 {
		stored(t, c, "old", fmt.Sprint("k", i))
	}
	victim := cluster.Node((tagMaster(t, cluster) + 1) % 3)
	lost := keysOn(t, victim)
	var kept []string
	for _, n := range cluster.All() {
		if n != victim {
			kept = append(kept, keysOn(t, n)...)
		}
	}
	require.NoError(t, victim.Kill())
	unaffected := func() {
		for _, key := range kept {
			v, err := c.Get(t.Context(), key, unexpected[string](t))
			require.NoError(t, err)
			require.Equal(t, "old", v)
		}
	}
	unaffected()
	for _, key := range lost[:3] {
		begun := time.Now()
		fetches, errs := together(t, c, key, 20)
		assert.Less(t, time.Since(begun), outageCall)
		assert.Empty(t, errs)
		assert.Equal(t, 1, fetches)
		unaffected()
	}
	for _, key := range lost { // more of them than it takes to leave a server alone
		_, err := c.Get(t.Context(), key, value("unstored"))
		require.NoError(t, err)
	}
	unaffected()
	assert.ErrorIs(t, c.Invalidate(t.Context(), lost[0]), cache.ErrStore)
	purged(t, c, kept[0])
	_, ok := c.Peek(t.Context(), kept[0])
	assert.False(t, ok)

	require.NoError(t, victim.Restart())
	for _, key := range lost {
		stored(t, c, "new", key)
		v, err := c.Get(t.Context(), key, unexpected[string](t))
		require.NoError(t, err)
		assert.Equal(t, "new", v, "it came back empty")
	}
}
