package core

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// The first time that somebody uses a long lease, the nodes cannot take note of it.
// It is told to them again with the next such lease: who meets a node that has
// forgotten that one must hear from the others for how long.
func TestLongerLeaseIsToldUntilTheNodesKnow(t *testing.T) {
	t.Parallel()
	for name, unable := range map[string]func(*testing.T, *Manager, *coretest.Nodes) (able func()){
		"out of memory": func(t *testing.T, _ *Manager, nodes *coretest.Nodes) func() {
			for _, n := range nodes.All() {
				require.NoError(t, n.FillUp())
			}
			return func() {
				for _, n := range nodes.All() {
					require.NoError(t, n.Config("maxmemory", "0"))
				}
			}
		},
		"left alone": func(t *testing.T, m *Manager, nodes *coretest.Nodes) func() {
			for _, n := range nodes.All() {
				require.NoError(t, n.Freeze())
			}
			for range 2 { // the second meets nodes that are left alone
				_, err := m.TryAcquire(t.Context(), "silent")
				require.ErrorIs(t, err, ErrNoQuorum)
			}
			return func() {
				for _, n := range nodes.All() {
					require.NoError(t, n.Thaw())
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			proxies := coretest.ProxiesTo(t, nodes.URLs())
			long := managerOn(t, proxyURLs(proxies), withNodeTimeout(frozen))
			able := unable(t, long, nodes)
			_, err := long.TryAcquire(t.Context(), "k", WithTTL(time.Hour))
			require.ErrorIs(t, err, ErrNoQuorum)
			able()
			l, err := long.Acquire(t.Context(), "k", WithTTL(time.Hour), WithWait(patience))
			require.NoError(t, err)
			requireHolders(t, l, nodes.All()...)
			for _, p := range proxies { // its holder is gone, and tells nobody any more
				require.NoError(t, p.Refuse())
				p.Reset()
			}

			short := managerOn(t, nodes.URLs(), withTTL(50*time.Millisecond))
			require.NoError(t, nodes.Node(0).FlushAll())
			take(t, short, "unrelated", nodes.Node(1)) // so that node 0 is needed for it
			require.Eventually(t, func() bool {
				_, err = short.TryAcquire(t.Context(), "unrelated")
				return err != nil && strings.Contains(err.Error(), "in quarantine for another 59m")
			}, patience, time.Millisecond, "%v", lazily(func() any { return err }))
		})
	}
}

// deafened keeps from its node what it should take note of.
type deafened struct{ wire.Transport }

func (d deafened) Send(now time.Time, c wire.Call) {
	if c.Req.Script == meetScript {
		c.To.Receive(c.Node, wire.Reply{Err: wire.ErrNotSent})
		return
	}
	d.Transport.Send(now, c)
}

// What a node was not told of does not count: neither a grant nor a renewal.
func TestNodeThatDoesNotKnowOfALongerLeaseDoesNotCount(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k")
	// The lease has heard of every node, so none of its goroutines sends behind that.
	require.Eventually(t, func() bool { return len(l.Info().Nodes) == nodes.Len() }, patience, time.Millisecond)
	for _, n := range m.nodes[1:] {
		n.wire = deafened{n.wire}
	}
	_, err := m.TryAcquire(t.Context(), "long", WithTTL(time.Hour))
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "does not know of so long a lease")
	until := l.Until()
	err = l.Extend(t.Context(), time.Hour)
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "does not know of so long a lease")
	require.Equal(t, until, l.Until())
	require.NoError(t, hold(t, m, "short").Release(t.Context()))
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()...)
}

// Who is handed a lease may renew it to more than the one before asked for.
func TestHandOverToALongerLeaseIsTold(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		l := hold(t, m, "k")
		next := make(chan got, 1)
		go func() {
			l, err := m.Acquire(t.Context(), "k", WithTTL(75*time.Minute), WithAutoRenew(), WithWait(time.Hour))
			next <- got{l, err}
		}()
		synctest.Wait()
		require.NoError(t, l.Release(t.Context()))
		g := <-next
		require.NoError(t, g.err)
		require.Equal(t, l.Owner(), g.lock.Owner(), "not handed over")
		time.Sleep(61 * time.Minute) // in the bubble; renewed at 10, 35 and 60
		require.Greater(t, g.lock.Info().TTL, time.Hour)
		for _, n := range nodes.All() {
			require.Equal(t, "4500000", n.Miniredis().HGet(m.markerKey, "ttl"))
		}
		require.NoError(t, g.lock.Release(t.Context()))
	})
}
