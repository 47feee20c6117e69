package core

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	require.NoError(t, nodes.Node(1).Config("maxmemory-policy", "allkeys-lru"))
	require.NoError(t, nodes.Node(2).ReplicaOf(nodes.Node(0)))
	log := &logLines{}
	m := managerOn(t, nodes.URLs(), withNodeTimeout(frozen), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
	requireVoting(t, m, 4)
	h, err := m.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, h.Quorum)
	require.Equal(t, 4, h.Voting)
	for i, n := range h.Nodes {
		require.Equal(t, nodes.Node(i).Addr(), n.Node)
		require.Equal(t, i != 2, n.Voting)
		require.Positive(t, n.Latency)
		require.NotEmpty(t, n.Version)
	}
	require.Equal(t, "master", h.Nodes[0].Role)
	require.Equal(t, "allkeys-lru", h.Nodes[1].Eviction)
	require.Contains(t, h.Nodes[1].Reason, "noeviction")
	require.Equal(t, "slave", h.Nodes[2].Role)
	require.ErrorIs(t, h.Nodes[2].Err, errReplica)

	// Each of them is warned about once, however often it is met.
	for range 3 {
		for _, n := range nodes.All() {
			require.NoError(t, n.Client().ClientKillByFilter(t.Context(), "TYPE", "normal").Err())
		}
		// Its answers come by new connections only: the old ones are dead, even if
		// nobody has noticed yet.
		require.Eventually(t, func() bool {
			h, err := m.Health(t.Context())
			return err == nil && h.Voting == 4
		}, patience, time.Millisecond)
	}
	require.Equal(t, 1, log.about("may evict lock keys"))
	require.Equal(t, 1, log.about("is a replica"))

	require.NoError(t, nodes.Node(3).Freeze())
	require.NoError(t, nodes.Node(4).Kill())
	quickly(t, "health", func() {
		h, err = m.Health(t.Context())
		require.ErrorIs(t, err, ErrNoQuorum)
		require.Equal(t, 2, h.Voting)
		require.Error(t, h.Nodes[3].Err)
		require.NotEmpty(t, h.Nodes[4].Reason)
	})
	require.NoError(t, nodes.Node(3).Thaw())
}

// A node may be reached again while Health reads why it was not.
func TestHealthOfANodeThatComesAndGoes(t *testing.T) {
	t.Parallel()
	n, gone := &node{}, error(errUnmet)
	n.ballot.Store(&ballot{from: time.Now()})
	var flapping sync.WaitGroup
	defer flapping.Wait()
	stop := make(chan struct{})
	defer close(stop)
	flapping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				n.cause.Store(&gone)
				n.cause.Store(nil)
			}
		}
	})
	for range 20_000 {
		var h NodeHealth
		n.vote(&h)
		require.Equal(t, h.Voting, h.Err == nil)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k")
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNotAcquired)
	_, err = m.Acquire(t.Context(), "k", WithWait(time.Millisecond))
	require.ErrorIs(t, err, ErrTimeout)
	require.ErrorIs(t, err, ErrNotAcquired)
	_, err = m.Acquire(l.Context(), "k")
	require.ErrorIs(t, err, ErrDeadlock)
	s := m.Stats()
	require.Equal(t, 1, s.Held)
	require.Equal(t, uint64(1), s.Acquired)
	require.Equal(t, uint64(3), s.Refused)
	require.Equal(t, uint64(1), s.Timeouts)
	require.Equal(t, uint64(1), s.Deadlocks)
	require.Equal(t, 2, s.Quorum)
	require.NoError(t, l.Release(t.Context()))
	s = m.Stats()
	require.Zero(t, s.Held)
	require.Zero(t, s.Waiting)
	require.Equal(t, uint64(1), s.Released)
	require.Len(t, s.Nodes, 3)
	require.NoError(t, nodes.Node(0).Kill())
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
	require.Eventually(t, func() bool { return m.Stats().Nodes[0].Errors > 0 && !m.Stats().Nodes[0].Voting }, patience, time.Millisecond)
	require.Positive(t, m.Stats().Nodes[1].Commands)
	require.Zero(t, m.Stats().Nodes[1].Errors)
}
