package core

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The node where a process waits to be woken goes away, or may not vote and so does
// not queue it. The process waits at another one then, as those do who come now: one
// that merely polled would not get its turn from them.
func TestWaiterMovesFromANodeThatIsAway(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*coretest.Node) error{
		"killed":          (*coretest.Node).Kill,
		"restarted empty": (*coretest.Node).Restart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			m, other := managerOn(t, nodes.URLs(), withTTL(time.Hour)), managerOn(t, nodes.URLs(), withTTL(time.Hour))
			l := hold(t, other, "k")
			requireHolders(t, l, nodes.All()...)
			waiting := acquireSoon(t, m, "k", WithWait(time.Hour))
			home := nodes.Node(m.home(m.namesOf("k"), time.Now()).index)
			awaitRegistered(t, m, "k", 1, home)
			require.NoError(t, leave(home))
			var others []*coretest.Node
			for _, n := range nodes.All() {
				if n != home {
					others = append(others, n)
				}
			}
			awaitRegistered(t, m, "k", 1, others...)
			require.NoError(t, l.Release(t.Context()))
			g := <-waiting
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
		})
	}
}

// Close does not wait for a subscription that a frozen node does not confirm.
func TestCloseDuringASubscription(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		home := m.home(m.namesOf("k"), time.Now()).index
		for i, n := range nodes.All() {
			if i != home {
				require.NoError(t, n.Miniredis().Set(m.namesOf("k").lock, "foreign"))
			}
		}
		require.NoError(t, nodes.Node(home).Freeze())
		defer nodes.Node(home).Thaw() //nolint:errcheck // at the end
		ended := make(chan time.Time, 1)
		go func() {
			_, err := m.Acquire(context.Background(), "k", WithWait(time.Hour))
			require.ErrorIs(t, err, ErrClosed)
			ended <- time.Now()
		}()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, m.Close())
		require.Equal(t, m.cfg.NodeTimeout, time.Since(began))
		require.Equal(t, began, <-ended)
	})
}
