package core

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The first to meet a node that has lost its data may be a client that met the
// others before a longer lease was used. It asks them.
func TestQuarantineIsNotThatOfAShortSightedClient(t *testing.T) {
	t.Parallel()
	for _, others := range []string{"reachable", "back later"} {
		t.Run(others, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			mine, theirs := coretest.ProxiesTo(t, nodes.URLs()), coretest.ProxiesTo(t, nodes.URLs())
			short := managerOn(t, proxyURLs(mine), withTTL(50*time.Millisecond))
			long := managerOn(t, proxyURLs(theirs), withTTL(time.Hour))
			l := hold(t, long, "k")
			requireHolders(t, l, nodes.All()...)

			require.NoError(t, theirs[0].Refuse()) // not to be the first
			theirs[0].Reset()
			if others != "reachable" {
				for _, p := range mine[1:] {
					require.NoError(t, p.Refuse())
					p.Reset()
				}
				require.Eventually(t, func() bool { return short.nodes[1].cause.Load() != nil && short.nodes[2].cause.Load() != nil },
					patience, time.Millisecond)
			}
			require.NoError(t, nodes.Node(0).FlushAll())
			take(t, short, "unrelated", nodes.Node(1)) // so that node 0 is needed for it
			if others != "reachable" {
				require.Eventually(t, func() bool {
					_, err := short.TryAcquire(t.Context(), "unrelated")
					return err != nil && !short.nodes[0].ballot.Load().since.IsZero()
				}, patience, time.Millisecond)
				for _, p := range mine[1:] {
					require.NoError(t, p.Accept())
				}
				require.Eventually(t, func() bool { return short.nodes[1].cause.Load() == nil && short.nodes[2].cause.Load() == nil },
					patience, time.Millisecond)
			}
			require.Eventually(t, func() bool {
				l, err := short.TryAcquire(t.Context(), "unrelated")
				if err == nil {
					_ = l.Release(t.Context())
				}
				return err != nil && strings.Contains(err.Error(), "in quarantine for another 59m")
			}, patience, time.Millisecond)
			_, err := short.TryAcquire(t.Context(), "k")
			require.ErrorIs(t, err, ErrNotAcquired)
			require.NoError(t, l.Release(t.Context()))
		})
	}
}
