package core

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// interrupted has something happen between the decision to ask a node and the asking.
type interrupted struct {
	wire.Transport
	once sync.Once
	by   func()
}

func (i *interrupted) Send(now time.Time, c wire.Call) {
	i.once.Do(i.by)
	i.Transport.Send(now, c)
}

// rewound restarts the node from a snapshot that lacks the lock, once somebody has
// decided to ask it, and returns when the new server has been met.
func rewound(t *testing.T, m *Manager, node *coretest.Node, key string) {
	t.Helper()
	n := m.nodes[0]
	n.wire = &interrupted{Transport: n.wire, by: func() {
		before := n.ballot.Load()
		require.NoError(t, node.Restart())
		require.NoError(t, node.Client().Del(t.Context(), m.namesOf(key).lock).Err())
		require.Eventually(t, func() bool { return n.cause.Load() == nil && n.ballot.Load() != before && !n.down.Load() }, patience, time.Millisecond)
	}}
}

// A node that was to be asked restarts from an old snapshot before the question
// gets there. Its marker is the one that was met; its answer must not count.
func TestAcquireIsNotSentToTheServerThatCameInItsPlace(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1, coretest.WithPersistence())
	m, other := managerOn(t, nodes.URLs(), withTTL(time.Hour)), managerOn(t, nodes.URLs(), withTTL(time.Hour))
	holder := hold(t, other, "k") // forgotten in the restart
	rewound(t, m, nodes.Node(0), "k")
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum, "a second owner")
	require.NoError(t, holder.Context().Err())
}

func TestTopUpIsNotSentToTheServerThatCameInItsPlace(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3, coretest.WithPersistence())
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	l := hold(t, m, "k")
	// The lease has heard of every node, so none of its goroutines sends behind that.
	require.Eventually(t, func() bool { return len(l.Info().Nodes) == nodes.Len() }, patience, time.Millisecond)
	rewound(t, m, nodes.Node(0), "k")
	l.lease.topUp(time.Now(), m.nodes[0])
	_, err := m.Inspect(t.Context(), "k") // stands behind it
	require.NoError(t, err)
	require.Never(t, func() bool { return len(lockKeys(t, nodes.Node(0))) > 0 }, 50*time.Millisecond, 5*time.Millisecond)
	require.NoError(t, l.Release(t.Context()))
}
