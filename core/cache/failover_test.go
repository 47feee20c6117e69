package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

const (
	outageTimeout = time.Second // of a store's operations
	// outageCall is how long a call may take: two looks, and what a loaded machine
	// adds. The client by itself would go on for longer: 3 s, several times.
	outageCall = 2*outageTimeout + 2*time.Second
)

// sentinelRig is caches whose store is watched by sentinels.
type sentinelRig struct {
	*coretest.SentinelNodes
	t       *testing.T
	locks   *coretest.Nodes
	replica *coretest.Node
}

func newSentinelRig(t *testing.T) *sentinelRig {
	watched := coretest.Sentinel(t)
	return &sentinelRig{watched, t, coretest.Redis(t, 1), watched.Node(1)}
}

// join is a process of its own.
func (s *sentinelRig) join() *cache.Cache[string] {
	c, _ := s.joinBy()
	return c
}

// joinBy is join, with the client of its store.
func (s *sentinelRig) joinBy() (*cache.Cache[string], *redis.Client) {
	client := redis.NewFailoverClient(s.Options())
	s.t.Cleanup(func() { _ = client.Close() })
	c := open[string](s.t, cache.Config{
		Fresh: time.Hour, StoreTimeout: outageTimeout, Locks: manager(s.t, s.locks.Clients()),
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)),
	})
	require.Eventually(s.t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
	return c, client
}

// mayFailOver lets the sentinels elect a master, or keeps them from it.
func (s *sentinelRig) mayFailOver(may bool) {
	quorum := s.Sentinels().Len() + 1
	if may {
		quorum = 2
	}
	for _, w := range s.Sentinels().All() {
		require.NoError(s.t, w.Client().Do(s.t.Context(), "SENTINEL", "SET", s.MasterName(), "quorum", quorum).Err())
	}
}

// replicated returns when the replica has all that its master has.
func (s *sentinelRig) replicated() { replicatedTo(s.t, s.Node(0), 1) }

// replicatedTo returns when so many replicas have all that a master has, which may
// be that of a Cluster's tags.
func replicatedTo(t *testing.T, master *coretest.Node, replicas int) {
	conn := master.Client().Conn()
	defer conn.Close()
	require.NoError(t, conn.Set(t.Context(), "{tags}marker", 1, 0).Err()) // WAIT is about its own connection's writes
	behind, err := conn.Wait(t.Context(), replicas, patience/4).Result()
	require.NoError(t, err)
	require.EqualValues(t, replicas, behind)
}

// failOver is what the sentinels do about a master that is down.
func (s *sentinelRig) failOver() {
	s.mayFailOver(true)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	require.NoError(s.t, s.AwaitFailover(ctx, s.Node(0)))
}

// stored fills keys.
func stored[V any](t *testing.T, c *cache.Cache[V], v V, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.Eventually(t, func() bool {
			r, err := c.Lookup(t.Context(), key, value(v))
			return err == nil && (r.Stored || r.State == cache.Fresh)
		}, patience, time.Millisecond, key)
	}
}

// purged repeats a purge until it is confirmed.
func purged[V any](t *testing.T, c *cache.Cache[V], keys ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.Invalidate(t.Context(), keys...) == nil }, patience, time.Millisecond)
}

// openFetch is a lookup that has begun to fetch, and ends when told.
type openFetch[V any] struct {
	end    func()
	result chan cache.Result[V]
}

func beginFetch[V any](t *testing.T, c *cache.Cache[V], key string, v V) openFetch[V] {
	began, end := make(chan struct{}), make(chan struct{})
	f := openFetch[V]{func() { close(end) }, make(chan cache.Result[V], 1)}
	go func() {
		r, err := c.Lookup(t.Context(), key, func(context.Context) (V, error) { close(began); <-end; return v, nil })
		assert.NoError(t, err)
		f.result <- r
	}()
	<-began
	return f
}

// TestSentinelFailover: the master of the store goes, calls are answered all the
// same, and the replica that takes its place brings back nothing that was purged.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(*coretest.Node) error{"killed": (*coretest.Node).Kill, "frozen": (*coretest.Node).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSentinelRig(t)
			here, there := s.join(), s.join()
			stored(t, here, "old", "kept", "purged before", "purged meanwhile")
			purged(t, there, "purged before")
			kept, lost := beginFetch(t, here, "fetched", "old"), beginFetch(t, here, "purged while fetched", "old")
			s.replicated()

			s.mayFailOver(false)
			require.NoError(t, outage(s.Node(0)))
			for _, c := range []*cache.Cache[string]{here, there} {
				require.Eventually(t, func() bool { return !c.Stats().Coherent }, patience, time.Millisecond)
			}
			withoutMaster(t, here, there)

			s.failOver()
			purged(t, there, "purged meanwhile", "purged while fetched")
			stored(t, here, "new", "after")
			kept.end()
			assert.True(t, (<-kept.result).Stored, "nothing was purged since it began")
			fenced := here.Stats().Fenced
			lost.end()
			assert.False(t, (<-lost.result).Stored)
			assert.Equal(t, fenced+1, here.Stats().Fenced)
			for _, c := range []*cache.Cache[string]{here, there} {
				require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
			}
			for _, c := range []*cache.Cache[string]{here, there, s.join()} {
				for key, want := range map[string]string{"kept": "old", "fetched": "old", "after": "new"} {
					v, err := c.Get(t.Context(), key, unexpected[string](t))
					require.NoError(t, err)
					assert.Equal(t, want, v, key)
				}
				for _, key := range []string{"purged before", "purged meanwhile", "purged while fetched"} {
					_, ok := c.Peek(t.Context(), key)
					assert.False(t, ok, key)
				}
			}
		})
	}
}

// TestPlannedFailoverLeavesNobodyDeaf: the master is replaced while it is up, and
// goes on as one until the sentinels tell it. It answers its subscribers, who hear
// nothing more; nothing that is purged on the new one stays in their memory.
func TestPlannedFailoverLeavesNobodyDeaf(t *testing.T) {
	t.Parallel()
	s := newSentinelRig(t)
	here, _ := s.joinBy()
	there, client := s.joinBy()
	stored(t, here, "old", "first", "second")
	s.replicated()
	require.NoError(t, s.Node(0).ACL("default", "-slaveof", "-replicaof")) // nobody tells it
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.Failover(ctx))
	require.Eventually(t, func() bool {
		port, err := client.ConfigGet(t.Context(), "port").Result()
		return err == nil && port["port"] == fmt.Sprint(s.replica.Port())
	}, patience, time.Millisecond, "there has followed")
	purged(t, there, "first")
	gone := func(key string) {
		require.Eventually(t, func() bool { _, ok := here.Peek(t.Context(), key); return !ok }, patience, time.Millisecond, key)
	}
	gone("first")
	require.Eventually(t, func() bool { return here.Stats().Coherent && there.Stats().Coherent }, patience, time.Millisecond)
	stored(t, here, "new", "first")
	purged(t, there, "first", "second")
	gone("first")
	gone("second")
	role, err := s.Node(0).Client().Do(t.Context(), "ROLE").Slice()
	require.NoError(t, err)
	assert.Equal(t, "master", role[0], "all the time it took itself for the master")
}

// withoutMaster is what two caches do while their store has none.
func withoutMaster(t *testing.T, here, there *cache.Cache[string]) {
	begun := time.Now()
	fetches, errs := together(t, here, "cold", 50)
	assert.Less(t, time.Since(begun), outageCall)
	assert.Empty(t, errs)
	assert.Equal(t, 1, fetches)
	_, err := here.Get(t.Context(), "kept", unexpected[string](t))
	assert.NoError(t, err, "memory stands in for the store")
	begun = time.Now()
	assert.ErrorIs(t, there.Invalidate(t.Context(), "purged meanwhile"), cache.ErrStore)
	assert.Less(t, time.Since(begun), outageCall)
	_, ok := there.Peek(t.Context(), "purged meanwhile")
	assert.False(t, ok, "the purge holds in its process")
}

// TestPurgeLostInAFailover: a purge that the master confirmed and its replica never
// got is lost with the master. What it had removed is served for the rest of its
// time, and no longer: nothing gets young again.
func TestPurgeLostInAFailover(t *testing.T) {
	t.Parallel()
	s := newSentinelRig(t)
	c := s.join()
	begun := time.Now()
	stored(t, c, "old", "k")
	s.replicated()
	cutOff(t, s.Node(0), s.replica)
	purged(t, c, "k")
	require.NoError(t, s.Node(0).Kill())
	s.failOver()

	reader := s.join()
	require.Eventually(t, func() bool { _, ok := reader.Peek(t.Context(), "k"); return ok }, patience, time.Millisecond,
		"the replica never got the purge")
	r, ok := reader.Peek(t.Context(), "k")
	require.True(t, ok)
	assert.LessOrEqual(t, r.TTL, time.Hour-time.Since(begun)+outageCall)
	purged(t, c, "k")
	_, ok = c.Peek(t.Context(), "k")
	assert.False(t, ok, "purged again")
}

// cutOff ends replication: the replica comes back with a password that its master
// does not know.
func cutOff(t *testing.T, master, replica *coretest.Node) {
	require.NoError(t, replica.Config("masterauth", "unknown"))
	require.Eventually(t, func() bool {
		killed, err := master.Client().ClientKillByFilter(t.Context(), "TYPE", "replica").Result()
		replicas, _ := master.Client().Do(t.Context(), "ROLE").Slice()
		return err == nil && killed == 0 && len(replicas) == 3 && len(replicas[2].([]any)) == 0
	}, patience, time.Millisecond)
}
