package core

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// Locks are renewed together. What somebody has put in the place of one of them ends
// that one, and no other.
func TestForeignTypeEndsOneOfTheLocksRenewedTogether(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(10*time.Second))
	replaced, kept := hold(t, m, "replaced", WithAutoRenew(), WithMaxHold(time.Hour)), hold(t, m, "kept", WithAutoRenew(), WithMaxHold(time.Hour))
	requireHolders(t, replaced, nodes.All()...)
	requireHolders(t, kept, nodes.All()...)
	for _, n := range nodes.All() {
		name := m.namesOf("replaced").lock
		_, err := n.Client().TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.Del(t.Context(), name)
			p.LPush(t.Context(), name, "foreign")
			return nil
		})
		require.NoError(t, err)
	}
	until := kept.Until()
	select {
	case <-replaced.Context().Done():
	case <-time.After(patience):
		require.Fail(t, "not lost")
	}
	require.Eventually(t, func() bool { return kept.Until().After(until) }, patience, time.Millisecond)
	require.NoError(t, kept.Context().Err())
	require.NoError(t, kept.Release(t.Context()))
	require.ErrorIs(t, replaced.Release(t.Context()), ErrExpired)
}
