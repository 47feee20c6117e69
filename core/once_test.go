package core

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// trySoon is a TryAcquire on a goroutine of its own.
func trySoon(ctx context.Context, m *Manager, key string, opts ...Option) <-chan got {
	result := make(chan got, 1)
	go func() {
		l, err := m.TryAcquire(ctx, key, opts...)
		result <- got{l, err}
	}()
	return result
}

// awaitGate waits until somebody stands at the key.
func awaitGate(t testing.TB, m *Manager, key string) {
	t.Helper()
	require.Eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.gates[key] != nil
	}, patience, time.Millisecond)
}

// Who shares another's round does not share its end: a caller that hangs up, or
// whose wait is over, while the nodes are asked says nothing about the lock.
func TestSharedRoundCutShort(t *testing.T) {
	t.Parallel()
	leave := map[string]func() (context.Context, context.CancelFunc, []Option){
		"cancelled": func() (context.Context, context.CancelFunc, []Option) {
			ctx, cancel := context.WithCancel(t.Context())
			return ctx, cancel, nil
		},
		"at the end of its wait": func() (context.Context, context.CancelFunc, []Option) {
			return t.Context(), func() {}, []Option{WithWait(200 * time.Millisecond)}
		},
	}
	for name, start := range leave {
		for _, held := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", free", true: ", held"}[held], func(t *testing.T) {
				t.Parallel()
				nodes := coretest.Redis(t, 3)
				proxies := coretest.ProxiesTo(t, nodes.URLs())
				m, other := managerOn(t, proxyURLs(proxies)), managerOn(t, nodes.URLs())
				if held {
					l := hold(t, other, "k")
					requireHolders(t, l, nodes.All()...)
				}
				for _, p := range proxies[1:] { // one node answers
					p.Hold()
				}
				ctx, cancel, opts := start()
				defer cancel()
				first := make(chan got, 1)
				go func() {
					l, err := m.Acquire(ctx, "k", opts...)
					first <- got{l, err}
				}()
				awaitGate(t, m, "k")
				second := trySoon(t.Context(), m, "k")
				awaitWaiting(t, m, 1)
				cancel()
				require.Error(t, (<-first).err)
				for _, p := range proxies {
					require.NoError(t, p.Resume())
				}
				g := <-second
				if held {
					require.ErrorIs(t, g.err, ErrNotAcquired)
					require.NotErrorIs(t, g.err, ErrNoQuorum)
					return
				}
				require.NoError(t, g.err)
				require.NoError(t, g.lock.Release(t.Context()))
			})
		}
	}
}

// While another caller of the process waits its turn in Redis, whoever asks for
// one round is refused at once; it does not wait for that caller's next round.
func TestOneRoundDoesNotWaitForAnothersPause(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	patient := func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour }
	m, other := managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient)
	held := hold(t, other, "k")
	ours := acquireSoon(t, m, "k") // waits in Redis, so that its process does from now on
	awaitRegistered(t, m, "k", 1, nodes.All()...)
	require.NoError(t, held.Release(t.Context()))
	l := (<-ours).lock
	theirs := acquireSoon(t, other, "k")
	awaitRegistered(t, m, "k", 1, nodes.All()...)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := await(t, ctx, m, "k", WithTTL(2*time.Hour)) // what is left of the lease will not do for it
	require.NoError(t, l.Release(t.Context()))
	g := <-theirs
	require.NoError(t, g.err)
	awaitWaiting(t, m, 1) // it stands, and pauses
	select {
	case tried := <-trySoon(t.Context(), m, "k"):
		require.ErrorIs(t, tried.err, ErrNotAcquired)
		require.NotErrorIs(t, tried.err, ErrNoQuorum)
	case <-time.After(patience):
		t.Error("waits for another caller's pause")
	}
	cancel()
	require.Error(t, (<-waiting).err)
	require.NoError(t, g.lock.Release(t.Context()))
}
