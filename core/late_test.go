package core

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// Whoever's time is over is told so at once, whatever is still to be done about
// the lock. Time is the bubble's here, so "at once" is no time at all.

// inTime runs a test with a Manager on three nodes, in a bubble.
func inTime(t *testing.T, test func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager)) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m, err := New(Config{Clients: namedClients(t, nodes), NodeTimeout: 2 * time.Second, TTL: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		defer func() { _ = m.Close() }()
		test(t, nodes, m)
	})
}

// freezeMajority has nodes 1 and 2 answer nothing, for ever or until the func is called.
func freezeMajority(t *testing.T, nodes *coretest.EmbeddedNodes) (thaw func()) {
	t.Helper()
	synctest.Wait() // not in the middle of a script
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Freeze())
	}
	thaw = func() {
		for _, n := range nodes.All()[1:] {
			_ = n.Thaw()
		}
	}
	t.Cleanup(thaw)
	return thaw
}

func requireFree(t *testing.T, m *Manager, nodes *coretest.EmbeddedNodes, key string) {
	t.Helper()
	synctest.Wait()
	for _, n := range nodes.All() {
		require.Empty(t, n.Keys(m.namesOf(key).lock))
	}
}

// The lock comes to a caller in the moment in which it gives up, and the nodes do
// not confirm that it is given back.
func TestLockThatComesTooLateKeepsNobody(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		l := hold(t, m, "k")
		leaver := &waiter{ctx: t.Context(), set: m.defaults, start: time.Now(), end: time.Now().Add(time.Minute)}
		g, stands, err := m.enter(leaver, "k")
		require.NoError(t, err)
		m.calls.Done() // Close must not wait for this test
		require.False(t, stands)
		require.NoError(t, l.Release(t.Context()))
		came, ok := m.leave(g, leaver)
		require.True(t, ok)
		require.NotNil(t, came.lock)
		m.settled(g, leaver)

		thaw := freezeMajority(t, nodes)
		began := time.Now()
		m.passOn(g, came)
		require.Zero(t, time.Since(began))
		thaw()
		requireFree(t, m, nodes, "k")
		require.Equal(t, uint64(1), m.Stats().Released, "nobody had the second one")
	})
}

// A round that is begun at the end of the wait takes lastRound in all, though it
// asks twice, and raises.
func TestLastRoundIsOne(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		w := &waiter{ctx: t.Context(), set: m.defaults, start: time.Now(), end: time.Now()}
		g, stands, err := m.enter(w, "k")
		require.NoError(t, err)
		m.calls.Done() // Close must not wait for this test
		require.True(t, stands)
		synctest.Wait()
		for _, n := range nodes.All() {
			require.NoError(t, n.Freeze())
			defer n.Thaw() //nolint:errcheck // at the end
		}
		began := time.Now()
		_, o := m.attempt(t.Context(), g, w, true)
		require.False(t, o.ok)
		require.Equal(t, lastRound, time.Since(began))
		m.stepDown(g)
	})
}

// TryAcquire takes NodeTimeout at most, also where nodes answer late and then have
// to be raised.
func TestOneRoundTakesOneNodeTimeout(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		began := time.Now()
		s := m.newLease("k", m.namesOf("k"), &m.defaults, began)
		r := m.newRound(s, began, m.endOf(&waiter{once: true}, began))
		r.ask(t.Context(), r.start, nil, nil, "")
		require.True(t, r.grants().won)
		time.Sleep(m.cfg.NodeTimeout - time.Millisecond)
		freezeMajority(t, nodes)
		r.votes[0].token += turns
		require.False(t, r.fence(t.Context(), r.grants()))
		require.Equal(t, m.cfg.NodeTimeout, time.Since(began))
		r.finish(false)
	})
}

// A round that cannot be decided without a silent node waits for it for NodeTimeout,
// however long its caller has.
func TestRoundWaitsOneNodeTimeout(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		key := "k"
		for m.home(m.namesOf(key), time.Now()) != m.nodes[0] {
			key += "k"
		}
		name, second := m.namesOf(key).lock, nodes.Node(1).Miniredis()
		require.NoError(t, second.Set(name, "foreign"))
		synctest.Wait()
		require.NoError(t, nodes.Node(2).Freeze())
		defer nodes.Node(2).Thaw() //nolint:errcheck // at the end
		time.AfterFunc(m.cfg.NodeTimeout/2, func() { second.Del(name) })
		began := time.Now()
		l, err := m.Acquire(t.Context(), key, WithWait(time.Minute))
		require.NoError(t, err)
		require.Equal(t, m.cfg.NodeTimeout, time.Since(began))
		require.NoError(t, l.Release(t.Context()))
	})
}

// Do's caller has left, and the nodes do not confirm the release.
func TestDoReturnsWithItsContext(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		var thaw func()
		err := m.Do(ctx, "k", func(ctx context.Context) error {
			thaw = freezeMajority(t, nodes)
			<-ctx.Done()
			return nil
		})
		require.ErrorIs(t, err, ErrNotReleased)
		require.Equal(t, time.Minute+lastRound, time.Since(began))
		thaw()
		requireFree(t, m, nodes, "k")
	})
	t.Run("during the release", func(t *testing.T) {
		inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := m.Do(ctx, "k", func(context.Context) error {
				freezeMajority(t, nodes)
				return nil
			})
			require.ErrorIs(t, err, ErrNotReleased)
			require.Equal(t, time.Second+lastRound, time.Since(began))
		})
	})
}

// Close waits for nodes once, not once for each thing that it does.
func TestCloseTakesOneNodeTimeout(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		hold(t, m, "held")
		freezeMajority(t, nodes)
		asking := acquireSoon(t, m, "k")
		synctest.Wait()
		began := time.Now()
		told := make(chan time.Duration, 1)
		go func() {
			g := <-asking
			require.ErrorIs(t, g.err, ErrClosed)
			told <- time.Since(began)
		}()
		require.ErrorIs(t, m.Close(), ErrNotReleased)
		require.Equal(t, m.cfg.NodeTimeout, time.Since(began))
		require.Zero(t, <-told)
	})
}

// A subscription that nobody needs is closed while go-redis waits for a server to
// let it in again. Nobody else waits for that.
func TestLostSubscriptionKeepsNobody(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	p := coretest.ProxyTo(t, nodes.Node(0).URL()+"?read_timeout=20s&write_timeout=20s")
	m, other := managerOn(t, []string{p.URL()}, withNodeTimeout(frozen)), managerOn(t, nodes.URLs())
	l := hold(t, other, "k", WithTTL(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan got, 1)
	go func() { l, err := m.Acquire(ctx, "k", WithWait(patience)); waiting <- got{l, err} }()
	awaitRegistered(t, m, "k", 1, nodes.All()...)
	cancel()
	<-waiting

	accepted := p.Accepted()
	p.HalfOpen()
	p.Reset()
	require.Eventually(t, func() bool { return p.Accepted() >= accepted+2 }, patience, time.Millisecond) // commands and subscription
	require.NoError(t, p.Resume())
	closing := make(chan struct{})
	go func() { defer close(closing); m.nodes[0].ear.hangUp() }()
	requireVoting(t, m, 1)
	quickly(t, "a wait", func() {
		_, err := m.Acquire(t.Context(), "k", WithWait(frozen))
		require.ErrorIs(t, err, ErrTimeout)
	})
	require.NoError(t, l.Release(t.Context()))
	<-closing
}

// The home node stops answering with a release under way that others of the process
// stand behind. A majority has confirmed it, so they go on before NodeTimeout is over.
func TestSilentHomeKeepsNextInLineForAMoment(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		l := hold(t, m, "k", WithMetadata("not to be handed over"))
		next := acquireSoon(t, m, "k")
		synctest.Wait()
		home := nodes.Node(m.home(m.namesOf("k"), time.Now()).index)
		require.NoError(t, home.Freeze())
		defer home.Thaw() //nolint:errcheck // at the end
		began := time.Now()
		require.NoError(t, l.Release(t.Context()))
		require.Equal(t, m.cfg.NodeTimeout/4, time.Since(began))
		g := <-next
		require.NoError(t, g.err)
		require.Equal(t, m.cfg.NodeTimeout/4, time.Since(began))
		require.NotEqual(t, l.Owner(), g.lock.Owner())
		require.NoError(t, g.lock.Release(t.Context()))
	})
}

// What ended the wait for the nodes is said.
func TestCallEndedByItsContextSaysSo(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *Lock) error{
		"extend":  func(ctx context.Context, l *Lock) error { return l.Extend(ctx, time.Minute) },
		"renew":   func(ctx context.Context, l *Lock) error { return l.Renew(ctx, 2*time.Hour) },
		"inspect": func(ctx context.Context, l *Lock) error { _, err := l.m.Inspect(ctx, "k"); return err },
		"acquire": func(ctx context.Context, l *Lock) error { _, err := l.m.Acquire(ctx, "other"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
				l := hold(t, m, "k")
				freezeMajority(t, nodes)
				ctx, cancel := context.WithTimeoutCause(t.Context(), m.cfg.NodeTimeout/2, context.Canceled)
				defer cancel()
				began := time.Now()
				err := call(ctx, l)
				require.Equal(t, m.cfg.NodeTimeout/2, time.Since(began))
				require.ErrorIs(t, err, ErrNoQuorum)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, context.Canceled) // its cause
				require.ErrorContains(t, err, "no answer within 1s")
			})
		})
	}
}
