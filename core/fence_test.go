package core

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// One node of the majority has a counter that is far ahead. The grant has a token
// beyond it, and by then another node knows: the next majority may be without the
// first, and its client knows of nothing.
func TestNodesThatAreBehindAreRaised(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		other, err := New(Config{Clients: namedClients(t, nodes), NodeTimeout: 2 * time.Second, TTL: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		defer func() { _ = other.Close() }()
		require.NoError(t, hold(t, m, "k").Release(t.Context())) // makes the counters
		nm := m.namesOf("k")
		counter := func(i int) float64 {
			score, err := nodes.Node(i).Miniredis().ZScore(nm.fence, m.nodes[i].ballot.Load().id)
			require.NoError(t, err)
			return score
		}
		ahead := counter(0) + 1_000_000*turns
		_, err = nodes.Node(0).Miniredis().ZAdd(nm.fence, ahead, m.nodes[0].ballot.Load().id)
		require.NoError(t, err)

		require.NoError(t, nodes.Node(2).Miniredis().Set(nm.lock, "foreign"))
		l := hold(t, m, "k")
		require.Greater(t, float64(l.FencingToken()), ahead)
		require.GreaterOrEqual(t, counter(1), float64(l.FencingToken()))
		require.NoError(t, l.Release(t.Context()))
		nodes.Node(2).Miniredis().Del(nm.lock)

		require.NoError(t, nodes.Node(0).Freeze())
		defer nodes.Node(0).Thaw() //nolint:errcheck // at the end
		next := hold(t, other, "k")
		require.Greater(t, next.FencingToken(), l.FencingToken())
		require.NoError(t, next.Release(t.Context()))
	})
}
