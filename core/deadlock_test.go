package core

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestDeadlockOnOneself(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour), func(c *Config) { c.Wait = time.Hour })
	err := m.Do(t.Context(), "a", func(ctx context.Context) error {
		return m.Do(ctx, "b", func(ctx context.Context) error {
			for _, key := range []string{"a", "b"} {
				_, err := m.Acquire(ctx, key)
				require.ErrorIs(t, err, ErrDeadlock)
				_, err = m.TryAcquire(ctx, key)
				require.ErrorIs(t, err, ErrDeadlock)
				require.NotErrorIs(t, err, ErrNotAcquired)
			}
			return nil
		})
	})
	require.NoError(t, err)
	require.Equal(t, uint64(4), m.Stats().Deadlocks)

	// A lock that was given back is no longer in the way.
	l := hold(t, m, "c")
	ctx := l.Context()
	require.NoError(t, l.Release(t.Context()))
	again, err := m.Acquire(context.WithoutCancel(ctx), "c")
	require.NoError(t, err)
	require.NoError(t, again.Release(t.Context()))
}

// What is still to be done when the caller has gone runs under the lock, too.
func TestDeadlockOnOneselfWithoutACaller(t *testing.T) {
	inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
		caller, leave := context.WithCancel(t.Context())
		err := m.Do(caller, "k", func(ctx context.Context) error {
			leave()
			ctx = context.WithoutCancel(ctx)
			_, err := m.Acquire(ctx, "k")
			require.ErrorIs(t, err, ErrDeadlock)
			_, err = m.TryAcquire(ctx, "k")
			require.ErrorIs(t, err, ErrDeadlock)
			return nil
		})
		require.NoError(t, err)

		// A lock that was lost is no longer in the way.
		l := hold(t, m, "k", WithTTL(time.Minute))
		<-l.Context().Done()
		again, err := m.Acquire(context.WithoutCancel(l.Context()), "k")
		require.NoError(t, err)
		require.NoError(t, again.Release(t.Context()))
		require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	})
}

// Whoever holds x wants y, and the other way round, over two keys and over three.
func TestDeadlockOfSeveral(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour), func(c *Config) { c.Wait = time.Hour })
	for _, keys := range [][]string{{"x", "y"}, {"u", "v", "w"}} {
		var held []*Lock
		for _, k := range keys {
			held = append(held, hold(t, m, k))
		}
		var waiting []<-chan got
		last := len(keys) - 1
		for i := range last {
			waiting = append(waiting, await(t, held[i].Context(), m, keys[i+1]))
		}
		_, err := m.Acquire(held[last].Context(), keys[0])
		require.ErrorIs(t, err, ErrDeadlock)
		// Without the circle's last part the others get on.
		for i := last; i > 0; i-- {
			require.NoError(t, held[i].Release(t.Context()))
			g := <-waiting[i-1]
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
		}
		require.NoError(t, held[0].Release(t.Context()))
	}
}

// A wait that ended closes no circle.
func TestNoDeadlockWithThoseWhoGaveUp(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour), func(c *Config) { c.Wait = time.Hour })
	x, y := hold(t, m, "x"), hold(t, m, "y")
	ctx, cancel := context.WithCancel(x.Context())
	waiting := await(t, ctx, m, "y")
	cancel()
	require.ErrorIs(t, (<-waiting).err, context.Canceled)
	_, err := m.Acquire(y.Context(), "x", WithWait(10*time.Millisecond))
	require.ErrorIs(t, err, ErrTimeout)
	require.NotErrorIs(t, err, ErrDeadlock)
	require.NoError(t, errors.Join(x.Release(t.Context()), y.Release(t.Context())))
}

// Between the end of a lost lock's context and the place at the gate that it gives up,
// whoever goes on under that context waits for nobody.
func TestLostHolderIsNoDeadlock(t *testing.T) {
	inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
		l := hold(t, m, "k")
		l.lease.end(time.Now(), true)
		w := &waiter{chain: l}
		m.mu.Lock()
		defer m.mu.Unlock()
		require.NoError(t, m.want(w, l.gate))
		m.unwant(w, l.gate)
	})
}
