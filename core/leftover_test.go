package core

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A round that is lost leaves its key nowhere. One node has set it, and its answer,
// and every attempt to ask again, is lost; another does not answer.
func TestLostRoundIsTakenBackWhereTheReplyWasLost(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	m := managerOn(t, proxyURLs(proxies), withNodeTimeout(3*time.Second), withTTL(time.Hour))
	requireVoting(t, m, 3)
	take(t, m, "k", nodes.Node(0))
	proxies[1].Hold()
	proxies[2].DropReplies()
	tried := trySoon(t.Context(), m, "k")
	require.Eventually(t, func() bool { return len(lockKeys(t, nodes.Node(2))) == 1 }, patience, time.Millisecond)
	require.NoError(t, proxies[2].Refuse())
	proxies[2].Reset()
	err := (<-tried).err
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, m.nodes[2].name)
	for _, p := range proxies[1:] {
		require.NoError(t, p.Resume())
	}
	requireGone(t, nodes.All()[1:]...)
}

// A node that was flushed sets the key before it is found to have no marker.
func TestLostRoundIsTakenBackWhereTheMarkerWasLost(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
	requireVoting(t, m, 3)
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.FlushAll())
	}
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorIs(t, err, errForgot)
	requireGone(t, nodes.All()...)
}

// A server that knows the release and has forgotten the acquire is not sent that
// again: it would stand behind its own release.
func TestForgottenAcquireIsNotRepeatedBehindItsRelease(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Manager, *round){
		"the round was lost": func(_ *Manager, r *round) { r.finish(false) },
		"the lock was released": func(m *Manager, r *round) {
			r.lease.end(time.Now(), false)
			m.sendReleases(r.lease, time.Now(), heirs{}).leave()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 1)
			proxy := coretest.ProxyTo(t, nodes.Node(0).URL())
			m := managerOn(t, []string{proxy.URL()}, withTTL(time.Hour))
			server := nodes.Node(0).Client()
			require.NoError(t, server.ScriptFlush(t.Context()).Err())
			require.NoError(t, server.ScriptLoad(t.Context(), releaseSource).Err())
			before := m.nodes[0].wire.Commands()
			proxy.Hold()
			hungUp, hangUp := context.WithCancel(t.Context())
			hangUp()
			now := time.Now()
			r := m.newRound(m.newLease("k", m.namesOf("k"), &m.defaults, now), now, now.Add(time.Minute))
			r.ask(hungUp, r.start, nil, m.nodes[0], m.id) // by script
			end(m, r)
			require.NoError(t, proxy.Resume())
			require.Eventually(t, func() bool { return m.nodes[0].wire.Commands() >= before+2 }, patience, time.Millisecond)
			require.Empty(t, lockKeys(t, nodes.All()...))
		})
	}
}
