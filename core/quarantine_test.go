package core

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestNewDeploymentStartsAtOnce(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	requireVoting(t, m, 5)
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
	requireVoting(t, managerOn(t, nodes.URLs()), 5) // and for whoever comes later
}

// A minority of a new deployment could be what is left of an old one.
func TestMinorityWithoutMarkersDoesNotStart(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	require.NoError(t, nodes.Node(0).Kill())
	require.NoError(t, nodes.Node(1).Kill())
	m := managerOn(t, nodes.URLs(), withTTL(time.Second))
	require.Zero(t, voters(m))
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "no marker on it yet")
	require.NoError(t, nodes.Node(1).Restart())
	l, err := m.Acquire(t.Context(), "k", WithWait(patience))
	require.NoError(t, err)
	require.NoError(t, l.Release(t.Context()))
}

// forgetting are the ways in which a node loses its data.
var forgetting = map[string]func(*coretest.Node) error{
	"restarted empty": (*coretest.Node).Restart,
	"flushed":         (*coretest.Node).FlushAll,
}

// A node that has forgotten a lock would help a second owner to a majority. It
// has no vote until the longest lease is over.
func TestForgetfulNodeDoesNotVote(t *testing.T) {
	t.Parallel()
	for name, forget := range forgetting {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const ttl = 8 * time.Second
			nodes := coretest.Redis(t, 3)
			holder := managerOn(t, nodes.URLs(), withTTL(ttl))
			other := managerOn(t, nodes.URLs(), withTTL(ttl))
			take(t, holder, "k", nodes.Node(2))
			l := hold(t, holder, "k") // by a bare majority: 0 and 1
			until := l.Until()
			require.NoError(t, nodes.Node(2).Client().Del(t.Context(), holder.namesOf("k").lock).Err())
			require.NoError(t, nodes.Node(2).Kill()) // not to be topped up
			require.NoError(t, forget(nodes.Node(1)))
			require.NoError(t, nodes.Node(2).Restart())

			newcomer := managerOn(t, nodes.URLs(), withTTL(ttl))
			for _, m := range []*Manager{other, newcomer} {
				_, err := m.TryAcquire(t.Context(), "k")
				require.ErrorIs(t, err, ErrNoQuorum)
				require.False(t, time.Now().After(until), "too slow a machine for this test")
			}
			// It votes again in the end, with everybody.
			for _, m := range []*Manager{holder, other, newcomer} {
				requireVoting(t, m, 3)
				require.True(t, time.Now().After(until), "voted while a lock it forgot was held")
			}
			next := hold(t, other, "k")
			require.Greater(t, next.FencingToken(), l.FencingToken())
			require.NoError(t, next.Release(t.Context()))
		})
	}
}

// The longest lease that counts is the longest that anybody uses, not that of
// whoever meets the node.
func TestQuarantineLastsForTheLongestLeaseInUse(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	long := managerOn(t, nodes.URLs(), withTTL(time.Second))
	short := managerOn(t, nodes.URLs(), withTTL(50*time.Millisecond))
	l := hold(t, long, "k", WithTTL(time.Hour))
	requireHolders(t, l, nodes.All()...)
	extended := hold(t, long, "extended")
	require.NoError(t, extended.Extend(t.Context(), 2*time.Hour))

	require.NoError(t, nodes.Node(0).FlushAll())
	newcomer := managerOn(t, nodes.URLs(), withTTL(50*time.Millisecond))
	// Each has a key of its own: what the one takes back from node 2 after its
	// refusal would still be held when the other comes, and no quorum be missed.
	for key, m := range map[string]*Manager{"short": short, "newcomer": newcomer} {
		take(t, m, key, nodes.Node(1))
		_, err := m.TryAcquire(t.Context(), key) // node 0 is needed for it
		require.ErrorIs(t, err, ErrNoQuorum)
		require.Eventually(t, func() bool {
			_, err := m.TryAcquire(t.Context(), key)
			return err != nil && strings.Contains(err.Error(), "in quarantine for another 1h59m")
		}, patience, time.Millisecond)
	}
	require.NoError(t, l.Release(t.Context()))
	require.NoError(t, extended.Release(t.Context()))
}

// One node after the other restarts empty, as in a rolling update. There is
// never a second owner, and no token steps back.
func TestSequentialEmptyRestarts(t *testing.T) {
	t.Parallel()
	const ttl = 3 * time.Second
	nodes := coretest.Redis(t, 3)
	holder := managerOn(t, nodes.URLs(), withTTL(ttl))
	other := managerOn(t, nodes.URLs(), withTTL(ttl))
	last := uint64(0)
	l := hold(t, holder, "k", WithAutoRenew(), WithMaxHold(time.Hour))
	for i := range nodes.Len() + 1 {
		n := nodes.Node(i % nodes.Len())
		require.NoError(t, n.Restart())
		second, err := other.TryAcquire(t.Context(), "k")
		require.Error(t, err, "a second owner after restart %d, on %v; the first: %v, %v, until %v",
			i, second.Info().Nodes, context.Cause(l.Context()), l.Info().Nodes, time.Until(l.Until()))
		free := fmt.Sprint("free-", i)
		f, err := other.Acquire(t.Context(), free, WithWait(patience)) // one node less costs nothing
		require.NoError(t, err)
		require.NoError(t, f.Release(t.Context()))

		// The lock survives, and is on the node again, before the next one goes.
		requireVoting(t, holder, 3)
		requireVoting(t, other, 3)
		require.NoError(t, l.Context().Err(), "lost after restart %d", i)
		requireHolders(t, l, n)
		f, err = other.Acquire(t.Context(), "counted", WithWait(patience))
		require.NoError(t, err)
		require.Greater(t, f.FencingToken(), last)
		last = f.FencingToken()
		require.NoError(t, f.Release(t.Context()))
	}
	require.NoError(t, l.Release(t.Context()))
}

// With persistence nothing is forgotten, but nobody can know that of a server
// that restarted: a snapshot may lack the last locks.
func TestRestartWithDataIsQuarantinedToo(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3, coretest.WithPersistence())
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	l := hold(t, m, "k")
	requireHolders(t, l, nodes.All()...)
	require.NoError(t, nodes.Node(0).Restart())
	require.Eventually(t, func() bool {
		h, err := m.Health(t.Context())
		return err == nil && h.Voting == 2 && h.Nodes[0].Err != nil
	}, patience, 5*time.Millisecond)
	requireHolders(t, l, nodes.All()...)
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()...)
}

// Tokens grow over everything that can happen to a minority: nodes that were not
// there, that forgot, that are ahead.
func TestTokensNeverStepBack(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	a, b := managerOn(t, nodes.URLs(), withTTL(time.Second)), managerOn(t, nodes.URLs(), withTTL(time.Second))
	last := uint64(0)
	next := func() {
		t.Helper()
		for _, m := range []*Manager{a, b} {
			l, err := m.Acquire(t.Context(), "k", WithWait(patience))
			require.NoError(t, err)
			require.Greater(t, l.FencingToken(), last)
			last = l.FencingToken()
			require.NoError(t, l.Release(t.Context()))
		}
	}
	next()
	for _, n := range nodes.All() {
		require.NoError(t, n.Freeze())
		// The others go on without it...
		_, _ = a.TryAcquire(t.Context(), "other")
		require.NoError(t, n.Thaw())
		next()
		require.NoError(t, n.Kill()) // ... and it comes back with nothing
		next()
		require.NoError(t, n.Restart())
		next()
		requireVoting(t, a, 3)
		requireVoting(t, b, 3)
		next()
	}
}

// A replica that was promoted has run for long, yet may lack what its primary
// granted last: how long it has run says nothing then.
func TestUptimeOfPromotedReplicaIsNotTrusted(t *testing.T) {
	t.Parallel()
	m := &Manager{}
	const info = "run_id:abc\r\nuptime_in_seconds:3600\r\nrole:master\r\nsecond_repl_offset:"
	require.Equal(t, "3600000", m.meetRequest(parseInfo(info+"-1\r\n"), "", false).Args[1])
	require.Equal(t, "-1", m.meetRequest(parseInfo(info+"4711\r\n"), "", false).Args[1])
}
