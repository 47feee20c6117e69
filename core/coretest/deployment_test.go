package coretest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestClusterServesAllSlots(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3)
	for i := range 100 {
		require.NoError(t, cluster.Client().Set(t.Context(), fmt.Sprint("k", i), i, 0).Err())
	}
	for _, n := range cluster.All() {
		keys, err := n.Keys("k")
		require.NoError(t, err)
		require.NotEmpty(t, keys)
		require.Less(t, len(keys), 100)
	}
	direct := dial(t, cluster.Node(0).Options())
	moved := 0
	for i := range 100 {
		if err := direct.Get(t.Context(), fmt.Sprint("k", i)).Err(); err != nil {
			require.ErrorContains(t, err, "MOVED")
			moved++
		}
	}
	require.Positive(t, moved)
}

func TestClusterNodeReturnsToItsPlace(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3, coretest.WithPassword("secret"))
	require.NoError(t, cluster.Client().Set(t.Context(), "k", 1, 0).Err())
	for _, n := range cluster.All() {
		require.NoError(t, n.Restart())
	}
	require.NoError(t, cluster.Settled(within(t, time.Minute)))
	require.ErrorIs(t, cluster.Client().Get(t.Context(), "k").Err(), redis.Nil, "in its place, and empty")
}

func TestClusterReplicaTakesItsMastersPlace(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3, coretest.WithReplicas(1), coretest.WithPassword("secret"))
	require.Equal(t, 6, cluster.Len())
	master, replica := cluster.Node(1), cluster.Replica(1)
	key := keyOn(t, cluster, master)
	write := func(value string) error { return cluster.Client().Set(t.Context(), key, value, 0).Err() }
	require.NoError(t, write("old"))
	require.Eventually(t, func() bool {
		keys, err := replica.Keys(key)
		return err == nil && len(keys) == 1
	}, 20*time.Second, 10*time.Millisecond)

	require.NoError(t, master.Kill())
	require.NoError(t, cluster.Promote(within(t, time.Minute), replica))
	require.Equal(t, "old", replica.Client().Get(t.Context(), key).Val())
	require.Eventually(t, func() bool { return write("new") == nil }, time.Minute, 10*time.Millisecond, "clients follow")
	require.Equal(t, "new", replica.Client().Get(t.Context(), key).Val())
	require.NoError(t, master.Restart())
	require.NoError(t, cluster.Settled(within(t, time.Minute)))
	role, err := master.Client().Do(t.Context(), "ROLE").Slice()
	require.NoError(t, err)
	require.Equal(t, "slave", role[0])
}

// keyOn is a key whose slot a node has.
func keyOn(t *testing.T, cluster *coretest.ClusterNodes, n *coretest.Node) string {
	for i := range 1000 {
		key := fmt.Sprint("k", i)
		owner, err := cluster.Client().MasterForKey(t.Context(), key)
		require.NoError(t, err)
		if owner.Options().Addr == n.Addr() {
			return key
		}
	}
	require.Fail(t, "no key")
	return ""
}

func TestClusterSpeaksTLS(t *testing.T) {
	t.Parallel()
	cluster := coretest.Cluster(t, 3, coretest.WithTLS())
	client := redis.NewClusterClient(cluster.Options())
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "k", 1, 0).Err())
}

func TestClusterRefusesFewerThanThree(t *testing.T) {
	t.Parallel()
	_, err := coretest.StartCluster(t.Context(), 2)
	require.ErrorContains(t, err, "three or more")
}

func TestSentinelFailsOverWhenTold(t *testing.T) {
	t.Parallel()
	s := coretest.Sentinel(t, coretest.WithPassword("a \"b\" c"))
	require.Equal(t, 3, s.Sentinels().Len())
	require.NoError(t, s.Client().Set(t.Context(), "k", 1, 0).Err())
	old, err := s.Master()
	require.NoError(t, err)
	require.Same(t, s.Node(0), old)

	require.NoError(t, s.Failover(within(t, time.Minute)))
	promoted, err := s.Master()
	require.NoError(t, err)
	require.Same(t, s.Node(1), promoted)
	require.Eventually(t, func() bool {
		return s.Client().Set(t.Context(), "k", 2, 0).Err() == nil &&
			promoted.Client().Get(t.Context(), "k").Val() == "2"
	}, 20*time.Second, 10*time.Millisecond, "clients follow")
}

func TestSentinelFailsOverWhenTheMasterDies(t *testing.T) {
	t.Parallel()
	s := coretest.Sentinel(t)
	old, err := s.Master()
	require.NoError(t, err)
	require.NoError(t, old.Kill())
	require.NoError(t, s.AwaitFailover(within(t, time.Minute), old))
	require.Eventually(t, func() bool {
		return s.Client().Set(t.Context(), "k", 2, 0).Err() == nil
	}, 20*time.Second, 10*time.Millisecond)
}
