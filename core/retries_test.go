package core

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// A retry follows a pause. What a caller asks to get itself queued, or again because
// a release was not everywhere yet, is none.
func TestRetriesAreThoseBehindAPause(t *testing.T) {
	t.Parallel()
	const pause = 10 * time.Second
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		for _, n := range nodes.All() {
			require.NoError(t, n.Miniredis().Set(m.namesOf("k").lock, "foreign"))
		}
		began := time.Now()
		_, err := m.Acquire(t.Context(), "k", WithWait(time.Hour), WithRetry(pause, 3))
		require.ErrorIs(t, err, ErrTimeout)
		require.GreaterOrEqual(t, time.Since(began), 3*pause/2)
		require.LessOrEqual(t, time.Since(began), 3*pause)
		synctest.Wait()
	})
	t.Run("the home node has no part in it", func(t *testing.T) {
		t.Parallel()
		inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
			key := "k"
			for m.home(m.namesOf(key), time.Now()) != m.nodes[0] {
				key += "k"
			}
			for _, n := range nodes.All()[1:] {
				require.NoError(t, n.Miniredis().Set(m.namesOf(key).lock, "foreign"))
			}
			began := time.Now()
			_, err := m.Acquire(t.Context(), key, WithWait(time.Hour), WithRetry(pause, 3))
			require.ErrorIs(t, err, ErrTimeout)
			require.GreaterOrEqual(t, time.Since(began), 3*pause/2)
			require.LessOrEqual(t, time.Since(began), 6*pause)
			synctest.Wait()
		})
	})
}

// A lock that is about to end is not taken for one without an end.
func TestLastMillisecondIsOne(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		n, name := nodes.Node(0), m.namesOf("k")
		left := func() time.Duration {
			client := namedClients(t, nodes)[0]
			reply, err := client.Eval(t.Context(), acquireSource, []string{name.lock, name.fence, name.queue}, "me", 1000, 16, 31, "0:", "", "t").Int64()
			require.NoError(t, err)
			return readVote(wire.Reply{Int: reply}).left
		}
		require.NoError(t, n.Miniredis().Set(name.lock, "foreign"))
		require.Zero(t, left())
		n.Miniredis().SetTTL(name.lock, time.Second)
		time.Sleep(999*time.Millisecond + time.Microsecond) // in the bubble
		require.Equal(t, time.Millisecond, left())
	})
}
