package core

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// leaseOn is what is left of the lock's key on a node.
func leaseOn(t testing.TB, l *Lock, n *coretest.Node) time.Duration {
	t.Helper()
	left, err := n.Client().PTTL(context.Background(), l.m.namesOf(l.Key()).lock).Result()
	require.NoError(t, err)
	return left
}

func TestRenewResetsAndExtendAdds(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(10*time.Minute))
	requireHolders(t, l, nodes.All()...)
	requireLease := func(want time.Duration) {
		t.Helper()
		const slack = time.Minute // of what passes in the test, and drift
		left := time.Until(l.Until())
		require.InDelta(t, want, left, float64(slack))
		require.InDelta(t, want, l.Info().TTL, float64(slack))
		for _, n := range nodes.All() {
			require.Eventually(t, func() bool {
				d := leaseOn(t, l, n) - want
				return -slack < d && d <= 0
			}, patience, time.Millisecond)
		}
		require.Less(t, left, leaseOn(t, l, nodes.Node(0)), "relied upon for longer than it lasts")
	}
	require.NoError(t, l.Extend(t.Context(), 20*time.Minute))
	requireLease(30 * time.Minute)
	require.NoError(t, l.Renew(t.Context(), 20*time.Minute))
	requireLease(20 * time.Minute)
	require.NoError(t, l.Renew(t.Context(), 40*time.Minute))
	requireLease(40 * time.Minute)
	for _, d := range []time.Duration{0, -1, -time.Hour, maxTTL, 1<<63 - 1} {
		require.ErrorIs(t, l.Extend(t.Context(), d), ErrInvalid, "%v", d)
	}
	for _, d := range []time.Duration{0, -1, time.Microsecond, 2 * time.Millisecond, maxTTL + 1} {
		require.ErrorIs(t, l.Renew(t.Context(), d), ErrInvalid, "%v", d)
	}
	requireLease(40 * time.Minute)
	require.NoError(t, l.Release(t.Context()))
}

func TestRenewAfterTheEnd(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs())
	refused := func(t *testing.T, l *Lock, want error) {
		t.Helper()
		require.ErrorIs(t, l.Extend(t.Context(), time.Hour), want)
		require.ErrorIs(t, l.Renew(t.Context(), time.Hour), want)
		require.False(t, l.Until().After(time.Now()), "until %v", l.Until())
		require.Zero(t, l.Info().TTL)
		require.Empty(t, l.Info().Nodes)
	}
	t.Run("expired and free", func(t *testing.T) {
		l := hold(t, m, "free", WithTTL(brief))
		<-l.Context().Done()
		require.Eventually(t, func() bool { return len(lockKeys(t, nodes.All()...)) == 0 }, patience, time.Millisecond)
		refused(t, l, ErrExpired)
		require.Empty(t, lockKeys(t, nodes.All()...), "an expired lock was taken again")
	})
	t.Run("expired and somebody else's", func(t *testing.T) {
		l := hold(t, m, "taken", WithTTL(brief))
		successor, err := other.Acquire(t.Context(), "taken", WithTTL(time.Minute))
		require.NoError(t, err)
		refused(t, l, ErrExpired)
		require.NoError(t, successor.Renew(t.Context(), time.Minute))
		require.NoError(t, successor.Release(t.Context()))
	})
	t.Run("another owner came and went", func(t *testing.T) {
		l := hold(t, m, "gone", WithTTL(time.Minute))
		requireHolders(t, l, nodes.All()...)
		for _, n := range nodes.All() { // as if the nodes' clocks had run ahead
			require.NoError(t, n.Client().Del(t.Context(), m.namesOf("gone").lock).Err())
		}
		successor := hold(t, other, "gone")
		require.NoError(t, successor.Release(t.Context()))
		refused(t, l, ErrExpired)
		require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
		requireGone(t, nodes.All()...)
	})
	t.Run("another owner came", func(t *testing.T) {
		l := hold(t, m, "came", WithTTL(time.Minute))
		requireHolders(t, l, nodes.All()...)
		for _, n := range nodes.All() {
			require.NoError(t, n.Client().Del(t.Context(), m.namesOf("came").lock).Err())
		}
		successor := hold(t, other, "came", WithTTL(time.Minute))
		require.ErrorIs(t, l.Renew(t.Context(), time.Hour), ErrNotOwner)
		require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
		require.NoError(t, successor.Release(t.Context()))
	})
	t.Run("released", func(t *testing.T) {
		l := hold(t, m, "released", WithTTL(time.Minute))
		require.NoError(t, l.Release(t.Context()))
		refused(t, l, ErrNotOwner)
		requireGone(t, nodes.All()...)
	})
}

// An extension that no majority confirmed or refused leaves the lock as it was:
// held until the old Until, lost then.
func TestInconclusiveExtendKeepsTheOldLease(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withNodeTimeout(frozen))
	l := hold(t, m, "k", WithTTL(4*time.Second))
	requireHolders(t, l, nodes.All()...)
	until := l.Until()
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Freeze())
	}
	err := l.Extend(t.Context(), time.Hour)
	require.ErrorIs(t, err, ErrNoQuorum)
	require.NotErrorIs(t, err, ErrExpired)
	require.Equal(t, until, l.Until())
	if lost := l.Context().Err(); time.Now().Before(until) {
		require.NoError(t, lost)
	}
	<-l.Context().Done()
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	require.False(t, time.Now().Before(until))
	for _, n := range nodes.All() {
		require.NoError(t, n.Thaw())
	}
	require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	requireGone(t, nodes.All()...) // one of them keeps it for an hour otherwise
}

// A machine that stands still for most of a lease loses it; one that does so for
// most of every lease, the longer ones too, is not this test's.
func TestAutoRenewKeepsTheLock(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs())
	watch := standBy(t)
	for name, held := range map[string]func(time.Duration, func(*Lock)) error{
		"asked for": func(ttl time.Duration, meanwhile func(*Lock)) error {
			l := hold(t, m, "asked for", WithTTL(ttl), WithAutoRenew())
			meanwhile(l)
			return l.Release(t.Context())
		},
		"by Do": func(ttl time.Duration, meanwhile func(*Lock)) error {
			return m.Do(t.Context(), "by Do", func(ctx context.Context) error {
				l, _ := FromContext(ctx)
				meanwhile(l)
				return nil
			}, WithTTL(ttl))
		},
	} {
		for ttl, kept := 2*time.Second, false; !kept; ttl *= 2 {
			require.Less(t, ttl, patience, "%s: every lease was lost", name)
			err := held(ttl, func(l *Lock) { kept = keptFrom(t, other, l, ttl*3/2) })
			if kept {
				require.NoError(t, err)
				require.NoError(t, hold(t, other, name).Release(t.Context()))
			} else {
				require.NotEmpty(t, watch.overslept(), "%s: lost, and the machine never stood still", name)
			}
		}
	}
}

// keptFrom reports whether a lock was still held after another process had waited
// for it in vain. A lock that was not lost by then was kept from the other one.
func keptFrom(t *testing.T, other *Manager, l *Lock, wait time.Duration) bool {
	t.Helper()
	successor, err := other.Acquire(t.Context(), l.Key(), WithWait(wait))
	if l.Context().Err() == nil {
		require.ErrorIs(t, err, ErrTimeout)
		return true
	}
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	if err == nil {
		require.NoError(t, successor.Release(t.Context()))
	}
	return false
}

// By the bubble's clock: nodes that take nearly half a lease for every answer, or
// stand still for nearly the two thirds that are left of it when it is renewed, lose
// no lock before its MaxHold.
func TestSlowNodesLoseNoRenewedLock(t *testing.T) {
	t.Parallel()
	for _, slow := range []struct{ latency, stall time.Duration }{
		{0, 0}, {400 * time.Millisecond, 0}, {950 * time.Millisecond, 0}, {0, 400 * time.Millisecond}, {0, 1250 * time.Millisecond},
	} {
		for _, timeout := range []time.Duration{2 * time.Second, unhurried} {
			t.Run(fmt.Sprintf("answers after %v, stalls of %v, NodeTimeout %v", slow.latency, slow.stall, timeout), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { requireKept(t, slow.latency, slow.stall, timeout) })
			})
		}
	}
}

func requireKept(t *testing.T, latency, stall, timeout time.Duration) {
	const ttl, most = 2 * time.Second, 10 * time.Minute
	nodes := newStandIns(t, 3, 0)
	m := managerOnStandIns(t, nodes, Config{NodeTimeout: timeout, TTL: ttl})
	other := managerOnStandIns(t, nodes, Config{NodeTimeout: unhurried, TTL: ttl})
	defer func() {
		_, _ = other.Close(), m.Close()
		time.Sleep(time.Minute) // go-redis gives up a dial later than whoever wanted it
	}()
	all := func(change func(*standIn)) {
		for _, n := range nodes {
			change(n)
		}
	}
	l := hold(t, m, "k", WithAutoRenew(), WithMaxHold(most))
	all(func(n *standIn) { n.slowDown(latency) })
	began := time.Now()
	for time.Since(began) < most-2*ttl {
		if stall > 0 {
			all(func(n *standIn) { n.suffer(standsFrozen) })
			time.Sleep(stall)
			all(func(n *standIn) { n.suffer(standsWell) })
		}
		_, err := other.TryAcquire(t.Context(), "k")
		require.ErrorIs(t, err, ErrNotAcquired, "after %v", time.Since(began))
		require.NoError(t, l.Context().Err(), "after %v", time.Since(began))
		time.Sleep(ttl + 10*time.Millisecond) // so that in the end the stalls begin wherever they can
	}
	<-l.Context().Done()
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	require.Greater(t, time.Since(began), most-ttl)
	require.LessOrEqual(t, time.Since(began), most+ttl)
}

func TestMaxHoldEndsRenewal(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		other, err := New(Config{Clients: namedClients(t, nodes), NodeTimeout: unhurried, TTL: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		defer func() { require.NoError(t, other.Close()) }()
		const ttl, most = 2 * time.Second, 3 * time.Second
		began := time.Now()
		l := hold(t, m, "k", WithTTL(ttl), WithAutoRenew(), WithMaxHold(most))
		successor, err := other.Acquire(t.Context(), "k", WithWait(patience))
		require.NoError(t, err)
		require.Error(t, l.Context().Err())
		require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
		require.Greater(t, time.Since(began), most)
		require.Less(t, time.Since(began), most+ttl)
		require.Greater(t, successor.FencingToken(), l.FencingToken())
		require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
		require.NoError(t, successor.Release(t.Context()))
	})
}

// The holder hears of the loss before anybody else can have the lock, and the
// renewal ends.
func TestLossIsToldInTime(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	seen := &events{}
	m := managerOn(t, proxyURLs(proxies), withNodeTimeout(frozen), func(c *Config) { c.Observer = seen })
	other := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(4*time.Second), WithAutoRenew())
	requireHolders(t, l, nodes.All()...)
	for _, p := range proxies {
		p.Hold()
	}
	successor, err := other.Acquire(t.Context(), "k", WithWait(patience), WithTTL(time.Minute))
	require.NoError(t, err)
	require.Error(t, l.Context().Err(), "two holders") // it looks at the clock, should the machine have stood still
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	require.Equal(t, 1, seen.count(EventLost))
	require.Equal(t, uint64(1), m.Stats().Lost)
	require.Zero(t, m.Stats().Held)
	for _, p := range proxies { // what was renewed in the meantime arrives now
		require.NoError(t, p.Resume())
	}
	require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	require.NoError(t, successor.Renew(t.Context(), time.Minute))
	require.NoError(t, successor.Release(t.Context()))
	requireGone(t, nodes.All()...)
}

// A renewal that is under way when the lock is released is not the last word.
func TestRenewalNeverLandsAfterRelease(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	var wait sync.WaitGroup
	for i := range 200 {
		l, err := m.Acquire(t.Context(), fmt.Sprint("k", i), WithTTL(time.Hour), WithAutoRenew())
		require.NoError(t, err)
		begin := make(chan struct{})
		wait.Go(func() { <-begin; _ = l.Renew(t.Context(), time.Hour) })
		wait.Go(func() { <-begin; _ = l.Extend(t.Context(), time.Hour) })
		wait.Go(func() { <-begin; assert.NoError(t, l.Release(t.Context())) })
		close(begin)
	}
	wait.Wait()
	requireGone(t, nodes.All()...)
}

func TestThousandRenewedLocksAreCheap(t *testing.T) {
	t.Parallel()
	const (
		locks = 1000
		ttl   = 5 * time.Second
	)
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(ttl))
	var wait sync.WaitGroup
	begin := make(chan struct{}, 64)
	for i := range locks {
		begin <- struct{}{}
		wait.Go(func() {
			defer func() { <-begin }()
			_, err := m.Acquire(t.Context(), fmt.Sprint("k", i), WithAutoRenew())
			assert.NoError(t, err)
		})
	}
	wait.Wait()
	for _, n := range nodes.All() {
		require.NoError(t, n.ResetCommandCalls())
	}
	began := time.Now()
	<-time.After(2 * ttl)
	passed := time.Since(began)
	require.Equal(t, locks, m.Stats().Held)
	for _, n := range nodes.All() {
		calls, err := n.CommandCalls()
		require.NoError(t, err)
		sent := calls["evalsha"] + calls["eval"]
		require.Positive(t, sent)
		require.LessOrEqual(t, float64(sent)/passed.Seconds(), 10.0, "commands per second")
	}
	require.NoError(t, m.Close())
	requireGone(t, nodes.All()...)
}

func TestTopUpOfBareMajority(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs(), withTTL(3*time.Second)), managerOn(t, nodes.URLs(), withTTL(3*time.Second))
	take(t, m, "k", nodes.Node(0))
	l := hold(t, m, "k", WithAutoRenew(), WithMaxHold(time.Hour))
	require.NoError(t, nodes.Node(0).Client().Del(t.Context(), m.namesOf("k").lock).Err())
	requireHolders(t, l, nodes.All()...)

	// One node that forgets breaks nothing now.
	require.NoError(t, nodes.Node(1).FlushAll())
	_, err := other.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNotAcquired)
	requireHolders(t, l, nodes.All()...) // once the node votes again
	require.NoError(t, l.Context().Err())
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()...)
}

// A lock that nobody renews is topped up, too.
func TestTopUpWithoutRenewal(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		name, third := m.namesOf("k").lock, nodes.Node(2).Miniredis()
		require.NoError(t, third.Set(name, "foreign"))
		l := hold(t, m, "k")
		third.Del(name)
		time.Sleep(topUpDelay)
		synctest.Wait()
		record, err := third.Get(name)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(record, l.Owner()+":"), record)
		require.Len(t, l.Info().Nodes, 3)
		require.NoError(t, l.Release(t.Context()))
		requireFree(t, m, nodes, "k")
	})
}

// Nodes that forgot are joined again only once a majority has confirmed that
// the lock is still ours: otherwise two of them could be made a majority of
// two different owners.
func TestForgetfulNodesAreJoinedAgainWithQuorumOnly(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(3*time.Second))
	l := hold(t, m, "k", WithAutoRenew())
	requireHolders(t, l, nodes.All()...)

	require.NoError(t, nodes.Node(0).Restart())
	requireHolders(t, l, nodes.All()...)
	require.NoError(t, l.Context().Err())

	for _, n := range nodes.All()[:2] {
		require.NoError(t, n.Client().Del(t.Context(), m.namesOf("k").lock).Err())
	}
	<-l.Context().Done()
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	require.Empty(t, lockKeys(t, nodes.All()[:2]...))
	require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	requireGone(t, nodes.All()...)
}
