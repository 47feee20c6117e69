package core

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The servers apply a command and their answers are lost, on a minority, on a
// majority or on all of them: they are asked again, and it is a success.
func TestLostRepliesAreNoFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ nodes, lost int }{{3, 1}, {3, 2}, {3, 3}, {5, 1}, {5, 2}, {5, 5}} {
		t.Run(fmt.Sprintf("%d of %d", c.lost, c.nodes), func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, c.nodes)
			proxies := coretest.ProxiesTo(t, nodes.URLs())
			m := managerOn(t, proxyURLs(proxies), withTTL(time.Hour))
			other := managerOn(t, nodes.URLs(), withTTL(time.Hour))
			const key = "k"
			before := hold(t, other, key)
			require.NoError(t, before.Release(t.Context()))
			requireGone(t, nodes.All()...)

			var l *Lock
			loseRepliesTo(t, m, key, proxies[:c.lost], func() (err error) {
				l, err = m.TryAcquire(t.Context(), key)
				return err
			})
			require.Greater(t, l.FencingToken(), before.FencingToken())
			requireHolders(t, l, nodes.All()...)
			require.Eventually(t, func() bool { return len(l.Info().Nodes) == c.nodes }, patience, time.Millisecond)
			_, err := other.TryAcquire(t.Context(), key)
			require.ErrorIs(t, err, ErrNotAcquired)

			loseRepliesTo(t, m, key, proxies[:c.lost], func() error { return l.Extend(t.Context(), time.Hour) })
			require.Greater(t, time.Until(l.Until()), 90*time.Minute)
			loseRepliesTo(t, m, key, proxies[:c.lost], func() error { return l.Release(t.Context()) })
			requireGone(t, nodes.All()...)

			after := hold(t, other, key)
			require.Greater(t, after.FencingToken(), l.FencingToken())
			require.NoError(t, after.Release(t.Context()))
		})
	}
}

// loseRepliesTo has the proxies lose the first answers about the key, at least,
// and then work again.
func loseRepliesTo(t *testing.T, m *Manager, key string, proxies []*coretest.Proxy, do func() error) {
	t.Helper()
	requireVoting(t, m, len(m.nodes))
	accepted := make([]int, len(proxies))
	for i, p := range proxies {
		accepted[i] = p.Accepted()
		p.DropRepliesTo(m.namesOf(key).lock)
	}
	result := make(chan error, 1)
	go func() { result <- do() }()
	for i, p := range proxies { // cut off, and back
		require.Eventually(t, func() bool { return p.Accepted() > accepted[i] }, patience, time.Millisecond)
		require.NoError(t, p.Resume())
	}
	require.NoError(t, <-result)
}

// A majority whose answers are lost whatever is asked is an outage, never
// somebody else's lock; and it leaves nothing behind.
func TestRepliesLostForGood(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	m := managerOn(t, proxyURLs(proxies), withTTL(time.Hour), withNodeTimeout(frozen))
	for _, p := range proxies[:2] {
		p.DropRepliesTo(m.namesOf("k").lock)
	}
	quickly(t, "acquire", func() {
		_, err := m.TryAcquire(t.Context(), "k")
		require.ErrorIs(t, err, ErrNoQuorum)
		require.NotErrorIs(t, err, ErrNotAcquired)
	})
	for _, p := range proxies {
		require.NoError(t, p.Resume())
	}
	requireGone(t, nodes.All()...)
	requireVoting(t, m, 3)
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
}

// What is to be asked again and was given up or released in the meantime is not:
// an acquire never lands after its release.
func TestNothingIsAskedAgainAfterItsRelease(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	m := managerOn(t, proxyURLs(proxies), withTTL(time.Hour))
	requireVoting(t, m, 3) // who is not met yet is not asked
	lock := m.namesOf("k").lock
	applied := func(n *coretest.Node) {
		require.Eventually(t, func() bool { return n.Client().Exists(context.Background(), lock).Val() == 1 }, patience, time.Millisecond)
	}
	cutOff := func(proxies ...*coretest.Proxy) { // once the answer is lost, nothing passes
		for _, p := range proxies {
			p.DropRepliesTo(lock)
		}
	}
	resume := func() {
		for _, p := range proxies {
			require.NoError(t, p.Resume())
		}
		requireGone(t, nodes.All()...)
		requireVoting(t, m, 3)
	}
	t.Run("the caller gave up", func(t *testing.T) {
		cutOff(proxies...)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := m.TryAcquire(ctx, "k")
			result <- err
		}()
		for i, n := range nodes.All() {
			applied(n)
			proxies[i].Hold()
		}
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		resume()
	})
	t.Run("the lock was released", func(t *testing.T) {
		cutOff(proxies[0])
		l := hold(t, m, "k")
		applied(nodes.Node(0))
		proxies[0].Hold()
		require.NoError(t, l.Release(t.Context()))
		resume()
	})
}

// A release that finds the key gone is a success only where its own first
// attempt can have taken it away.
func TestRepeatedReleaseAfterTheLease(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	m := managerOn(t, proxyURLs(proxies))
	const ttl = 500 * time.Millisecond
	l := hold(t, m, "k", WithTTL(ttl))
	for _, p := range proxies {
		p.DropRepliesTo(m.namesOf("k").lock)
	}
	result := make(chan error, 1)
	go func() { result <- l.Release(t.Context()) }()
	over := time.NewTimer(2 * ttl) // time has to pass for the servers
	defer over.Stop()
	<-over.C
	for _, p := range proxies {
		require.NoError(t, p.Resume())
	}
	require.ErrorIs(t, <-result, ErrExpired)
}
