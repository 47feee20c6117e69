package core

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What the keeper does to leases, by the clock of a bubble.

// inKeeping runs a test with a Manager on three nodes that answer after latency.
func inKeeping(t *testing.T, latency time.Duration, test func(t *testing.T, nodes []*standIn, m *Manager)) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newStandIns(t, 3, latency)
		m := managerOnStandIns(t, nodes, Config{NodeTimeout: time.Second, TTL: time.Hour})
		defer func() {
			_ = m.Close()
			time.Sleep(time.Minute) // go-redis gives up a dial later than whoever wanted it
		}()
		test(t, nodes, m)
	})
}

// lostAt waits until the lock's context is cancelled, which nobody asks for its Err.
func lostAt(l *Lock) time.Time {
	<-l.Context().Done()
	return time.Now()
}

func TestLossToTheNanosecond(t *testing.T) {
	t.Parallel()
	inKeeping(t, 0, func(t *testing.T, nodes []*standIn, m *Manager) {
		l := hold(t, m, "k", WithTTL(time.Second))
		until := l.Until()
		require.Equal(t, until, lostAt(l))

		// Nor is a lock told later that a node is missing from, and that was shortened.
		nodes[2].suffer(standsDown)
		l = hold(t, m, "k2")
		require.NoError(t, l.Renew(t.Context(), topUpDelay/2))
		until = l.Until()
		require.Equal(t, until, lostAt(l))
	})
}

// A renewal that falls due after MaxHold is not made.
func TestMaxHoldToTheNanosecond(t *testing.T) {
	t.Parallel()
	inKeeping(t, 0, func(t *testing.T, _ []*standIn, m *Manager) {
		const ttl = 3 * time.Second
		began := time.Now()
		l := hold(t, m, "k", WithTTL(ttl), WithAutoRenew(), WithMaxHold(ttl/2)) // due after 1/3, and 2/3
		require.Equal(t, began.Add(ttl/3+ttl-driftOf(ttl, defaultDrift)), lostAt(l))
	})
}

// A renewal that is sent behind an extension, before that is confirmed, leaves the
// nodes with all that the extension asked for.
func TestRenewalTakesNoExtensionBack(t *testing.T) {
	t.Parallel()
	const latency = 50 * time.Millisecond
	inKeeping(t, latency, func(t *testing.T, nodes []*standIn, m *Manager) {
		const ttl = 3 * time.Second
		began := time.Now()
		l := hold(t, m, "k", WithTTL(ttl), WithAutoRenew())
		time.Sleep(ttl/3 - time.Since(began) - latency/2)
		require.NoError(t, l.Extend(t.Context(), time.Hour))
		time.Sleep(latency) // what the keeper has sent meanwhile is answered
		require.Greater(t, time.Until(l.Until()), 30*time.Minute)
		require.Equal(t, uint64(2), l.lease.sent, "the keeper's renewal, too")
		name := m.namesOf("k").lock
		for _, n := range nodes {
			n.mu.Lock()
			end := n.locks[name].until
			n.mu.Unlock()
			require.False(t, end.Before(l.Until()), "%s forgets it earlier", n.name)
		}
		require.NoError(t, l.Release(t.Context()))
	})
}

// A node in quarantine is not asked to hold a lock that it has not granted.
func TestNoTopUpInQuarantine(t *testing.T) {
	t.Parallel()
	inKeeping(t, 0, func(t *testing.T, nodes []*standIn, m *Manager) {
		b := m.nodes[2].ballot.Load()
		m.nodes[2].ballot.Store(&ballot{id: b.id, since: time.Now(), lost: 1, from: time.Now().Add(time.Hour)})
		l := hold(t, m, "k", WithTTL(30*time.Minute))
		time.Sleep(10 * time.Minute)
		nodes[2].mu.Lock()
		locks := len(nodes[2].locks)
		nodes[2].mu.Unlock()
		require.Zero(t, locks)
		require.NoError(t, l.Release(t.Context()))
	})
}

// A renewal that found no node is tried again before the lease is over, also where a
// node may take longer to answer than the lease lasts.
func TestRenewalIsTriedAgainWithinAShortLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes := newStandIns(t, 3, 0)
		m := managerOnStandIns(t, nodes, Config{NodeTimeout: 10 * time.Second, TTL: time.Hour})
		defer m.Close() //nolint:errcheck // holds nothing
		const ttl = 2 * time.Second
		l := hold(t, m, "k", WithTTL(ttl), WithAutoRenew())
		time.Sleep(ttl / 4)
		for _, n := range nodes {
			n.suffer(standsDown)
		}
		time.Sleep(ttl / 8) // over the first renewal
		for _, n := range nodes {
			n.suffer(standsWell)
		}
		time.Sleep(4 * ttl)
		require.NoError(t, l.Context().Err())
		require.NoError(t, l.Release(t.Context()))
	})
}
