package cache_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestClusterPromotesAReplica: the master that has the tags dies, and its replica
// takes its place. It brings back nothing that was purged, by key or by tag, before
// or since, nor does the dead one when it returns as a replica.
func TestClusterPromotesAReplica(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3, coretest.WithReplicas(1))
	locks := coretest.Redis(t, 1)
	join := func() *cache.Cache[*page] {
		c := open[*page](t, cache.Config{
			Fresh: time.Hour, StoreTimeout: 2 * time.Second, Locks: manager(t, locks.Clients()),
			Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(clusterClient(t, cluster))),
		})
		require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
		return c
	}
	here, there := join(), join()
	plain := &page{"old", cache.Policy{Fresh: time.Hour}}
	tagged := func(tag string) *page { return &page{"old", cache.Policy{Fresh: time.Hour, Tags: []string{tag}}} }
	for i := range 60 {
		stored(t, here, plain, fmt.Sprint("k", i))
	}
	stored(t, here, tagged("red"), "red")
	stored(t, here, tagged("blue"), "blue")

	index := tagMaster(t, cluster)
	victim := cluster.Node(index)
	keys := keysOn(t, victim)
	require.GreaterOrEqual(t, len(keys), 5)
	kept, before, since, filled, fenced := keys[0], keys[1], keys[2], keys[3], keys[4]
	purged(t, there, before, filled, fenced)
	purgedTag(t, there, "red")
	open := []openFetch[*page]{beginFetch(t, here, filled, plain), beginFetch(t, here, fenced, plain)}
	replicatedTo(t, victim, 1)

	require.NoError(t, victim.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, cluster.Promote(ctx, cluster.Replica(index)))
	purged(t, there, since)
	purged(t, there, fenced)
	purgedTag(t, there, "blue")
	purged(t, here, before) // here has followed, too
	open[0].end()
	assert.True(t, (<-open[0].result).Stored, "nothing was purged since it began")
	open[1].end()
	assert.False(t, (<-open[1].result).Stored)

	everywhere := func() {
		for _, c := range []*cache.Cache[*page]{here, there, join()} {
			require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
			for _, key := range []string{kept, filled} {
				require.Eventually(t, func() bool {
					r, ok := c.Peek(t.Context(), key)
					return ok && r.Value.Body == "old"
				}, patience, time.Millisecond, key)
			}
			for _, key := range []string{before, since, fenced, "red", "blue"} {
				require.Eventually(t, func() bool { // one message after the purge
					_, ok := c.Peek(t.Context(), key)
					return !ok
				}, patience, time.Millisecond, key)
			}
		}
	}
	everywhere()
	require.NoError(t, victim.Restart())
	require.NoError(t, cluster.Settled(ctx))
	everywhere()
}

// tagMaster is the index of the master that has the tags.
func tagMaster(t *testing.T, cluster *coretest.ClusterNodes) int {
	master, err := cluster.Client().MasterForKey(t.Context(), "dlm:c1:{tags}:e")
	require.NoError(t, err)
	i := slices.IndexFunc(cluster.All(), func(n *coretest.Node) bool { return n.Addr() == master.Options().Addr })
	require.GreaterOrEqual(t, i, 0)
	return i
}

// purgedTag repeats a purge until it is confirmed.
func purgedTag[V any](t *testing.T, c *cache.Cache[V], tag string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.InvalidateTag(t.Context(), tag) == nil }, patience, time.Millisecond)
}
