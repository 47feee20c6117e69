package core

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// What a lock's context says does not depend on whether somebody looked at it before
// it ended.
func TestContextTellsTheSameToWhoComesLate(t *testing.T) {
	t.Parallel()
	type key struct{}
	hungUp := errors.New("hung up")
	for name, c := range map[string]struct {
		end   func(l *Lock, hangUp context.CancelCauseFunc)
		cause error
	}{
		"released":          {func(l *Lock, _ context.CancelCauseFunc) { _ = l.Release(context.Background()) }, context.Canceled},
		"lost":              {func(l *Lock, _ context.CancelCauseFunc) { l.lease.lose() }, ErrLost},
		"its parent's end":  {func(_ *Lock, hangUp context.CancelCauseFunc) { hangUp(hungUp) }, hungUp},
		"lost, then parent": {func(l *Lock, hangUp context.CancelCauseFunc) { l.lease.lose(); hangUp(hungUp) }, ErrLost},
		"parent, then lost": {func(l *Lock, hangUp context.CancelCauseFunc) { hangUp(hungUp); l.lease.lose() }, hungUp},
	} {
		for _, early := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
					parent, hangUp := context.WithCancelCause(context.WithValue(t.Context(), key{}, "theirs"))
					defer hangUp(nil)
					l, err := m.Acquire(parent, "k")
					require.NoError(t, err)
					ctx := l.Context()
					if early {
						require.NoError(t, ctx.Err())
					}
					c.end(l, hangUp)
					child, stop := context.WithTimeout(ctx, time.Hour)
					defer stop()
					for _, ctx := range []context.Context{ctx, child} {
						require.Equal(t, c.cause, context.Cause(ctx))
						require.Equal(t, context.Canceled, ctx.Err())
						<-ctx.Done()
						require.Equal(t, "theirs", ctx.Value(key{}))
						held, ok := FromContext(ctx)
						require.True(t, ok)
						require.Same(t, l, held)
					}
					_ = l.Release(t.Context())
				})
			})
		}
	}
}

// Of two who find that a lease is over, one is first to end it. The other one must not
// be told that all is well before the first has done so.
func TestWhoFindsTheLossSecondIsToldOfIt(t *testing.T) {
	t.Parallel()
	for name, done := range map[string]func(l *Lock){
		"the lease has ended": func(l *Lock) { l.lease.end(time.Now(), true) },
		"the context is about to": func(l *Lock) {
			l.lease.end(time.Now(), true)
			l.ctx.mu.Lock()
			defer l.ctx.mu.Unlock()
			l.ctx.over, l.ctx.cause = true, ErrLost
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
				l := hold(t, m, "k")
				require.NoError(t, l.Context().Err())
				l.lease.mu.Lock()
				l.lease.until = time.Now()
				l.lease.mu.Unlock()
				done(l)
				require.Equal(t, context.Canceled, l.Context().Err())
				require.Equal(t, ErrLost, context.Cause(l.Context()))
				require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
			})
		})
	}
}

// Whoever releases may be second too, and must not take the loss for the release.
func TestWhoReleasesDuringALossLeavesItsCause(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]time.Duration{"its time is over": 0, "a majority has lost it": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
				l := hold(t, m, "k")
				l.lease.mu.Lock()
				l.lease.until = time.Now().Add(until)
				l.lease.mu.Unlock()
				l.lease.end(time.Now(), true) // by who is first, and has yet to cancel the context
				require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
				require.Equal(t, ErrLost, context.Cause(l.Context()))
			})
		})
	}
}
