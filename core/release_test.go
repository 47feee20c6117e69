package core

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestReleaseDeletesOnEveryNode(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(time.Hour))
	requireHolders(t, l, nodes.All()...)
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()...)
	require.Error(t, l.Context().Err())
	require.NotErrorIs(t, context.Cause(l.Context()), ErrLost)
}

func TestReleaseIsIdempotent(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	first := hold(t, m, "k")
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() { assert.NoError(t, first.Release(t.Context())) })
	}
	wait.Wait()
	second := hold(t, m, "k")
	require.NoError(t, first.Release(t.Context()))
	requireHolders(t, second, nodes.All()...)
	require.NoError(t, second.Release(t.Context()))
	require.Equal(t, uint64(2), m.Stats().Released)
}

func TestReleaseOfNothing(t *testing.T) {
	t.Parallel()
	var l *Lock
	require.ErrorIs(t, l.Release(t.Context()), ErrNotOwner)
	require.ErrorIs(t, l.Extend(t.Context(), time.Second), ErrNotOwner)
	require.ErrorIs(t, l.Renew(t.Context(), time.Second), ErrNotOwner)
	require.ErrorContains(t, l.Renew(t.Context(), time.Second), "nil *Lock")
	require.Zero(t, l.Key())
	require.Zero(t, l.Owner())
	require.Zero(t, l.FencingToken())
	require.Zero(t, l.Until())
	require.Zero(t, l.Info())
	require.NoError(t, l.Context().Err())
}

func TestReleaseOnCancelledContext(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	ctx, cancel := context.WithCancel(t.Context())
	l, err := m.Acquire(ctx, "k", WithTTL(time.Hour))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, l.Context().Err(), context.Canceled)
	require.NoError(t, l.Release(ctx))
	requireGone(t, nodes.All()...)
}

func TestReleaseAfterExpiry(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs())
	t.Run("nobody came", func(t *testing.T) {
		l := hold(t, m, "free", WithTTL(brief))
		<-l.Context().Done()
		require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
		err := l.Release(t.Context())
		require.ErrorIs(t, err, ErrExpired)
		require.Equal(t, err, l.Release(t.Context()))
	})
	t.Run("another owner came", func(t *testing.T) {
		l := hold(t, m, "taken", WithTTL(brief))
		successor, err := other.Acquire(t.Context(), "taken")
		require.NoError(t, err)
		require.ErrorIs(t, l.Context().Err(), context.Canceled)
		require.ErrorIs(t, context.Cause(l.Context()), ErrLost, "before the successor got it")
		err = l.Release(t.Context())
		require.ErrorIs(t, err, ErrExpired)
		require.ErrorIs(t, err, ErrNotOwner)
		requireHolders(t, successor, nodes.All()...)
		require.NoError(t, successor.Release(t.Context()))
	})
}

// What a majority no longer has was not ours to release.
func TestReleaseOfWhatWasTakenAway(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(time.Hour))
	requireHolders(t, l, nodes.All()...)
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Client().Del(t.Context(), m.namesOf("k").lock).Err())
	}
	require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	requireGone(t, nodes.All()...)
}

func TestReleaseUnconfirmed(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withNodeTimeout(frozen))
	l := hold(t, m, "k", WithTTL(time.Hour))
	requireHolders(t, l, nodes.All()...)
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Freeze())
	}
	quickly(t, "release with a frozen majority", func() {
		err := l.Release(t.Context())
		require.ErrorIs(t, err, ErrNotReleased)
		require.ErrorIs(t, err, ErrNoQuorum)
		requireNodeErrors(t, err, nodes.All()[1:]...)
	})
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Thaw())
	}
	requireGone(t, nodes.All()...)
}

// A node that was cut off at the release is sent it when it returns, however
// much later than the TTL the lock began with.
func TestReleaseReachesNodesThatWereCutOff(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxy := coretest.ProxyTo(t, nodes.Node(2).URL())
	m := managerOn(t, []string{nodes.Node(0).URL(), nodes.Node(1).URL(), proxy.URL()})
	cutOff := func(while func()) {
		require.NoError(t, proxy.Refuse())
		proxy.Reset()
		while()
		require.NoError(t, proxy.Accept())
		requireGone(t, nodes.All()...)
		requireVoting(t, m, 3)
	}
	t.Run("before its lease is over", func(t *testing.T) {
		l := hold(t, m, "k", WithTTL(time.Hour))
		requireHolders(t, l, nodes.All()...)
		cutOff(func() { require.NoError(t, l.Release(t.Context())) })
	})
	t.Run("after the TTL it began with", func(t *testing.T) {
		const ttl = 500 * time.Millisecond
		l := hold(t, m, "k", WithTTL(ttl))
		requireHolders(t, l, nodes.All()...)
		require.NoError(t, l.Extend(t.Context(), time.Hour))
		cutOff(func() {
			require.NoError(t, l.Release(t.Context()))
			passed := time.NewTimer(2 * ttl)
			defer passed.Stop()
			<-passed.C
		})
	})
}
