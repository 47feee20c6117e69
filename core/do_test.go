package core

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// Whatever the function does, the lock is released behind it.
func TestDoReleasesWhateverItsFunctionDoes(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	failed := errors.New("failed")
	run := func(fn func(context.Context) error) (returned bool, panicked any, err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { panicked = recover() }()
			err = m.Do(t.Context(), "k", fn)
			returned = true
		}()
		<-done
		requireGone(t, nodes.All()...)
		require.Zero(t, m.Stats().Held)
		return returned, panicked, err
	}

	_, _, err := run(func(context.Context) error { return failed })
	require.Equal(t, failed, err, "as it is")

	returned, panicked, _ := run(func(context.Context) error { panic(failed) })
	require.Equal(t, failed, panicked, "not swallowed")
	require.False(t, returned)

	returned, panicked, _ = run(func(context.Context) error { runtime.Goexit(); return nil })
	require.Nil(t, panicked)
	require.False(t, returned)

	var kept context.Context
	_, _, err = run(func(ctx context.Context) error { kept = ctx; return nil })
	require.NoError(t, err)
	require.ErrorIs(t, kept.Err(), context.Canceled)
	require.NotErrorIs(t, context.Cause(kept), ErrLost)

	_, _, err = run(func(ctx context.Context) error {
		l, _ := FromContext(ctx)
		return l.Release(ctx)
	})
	require.NoError(t, err, "released by the function itself")

	_, panicked, _ = run(nil)
	require.Error(t, panicked.(error), "a nil function") //nolint:errcheck // a run-time error
}

// Locks of different keys nest: each context carries the innermost, and what its
// caller's context carries.
func TestDoNests(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	type name struct{}
	outer := context.WithValue(t.Context(), name{}, "value")
	err := m.Do(outer, "a", func(ctx context.Context) error {
		first, ok := FromContext(ctx)
		require.True(t, ok)
		return m.Do(context.WithoutCancel(ctx), "b", func(ctx context.Context) error {
			second, ok := FromContext(ctx)
			require.True(t, ok)
			require.Equal(t, []string{"a", "b"}, []string{first.Key(), second.Key()})
			require.Equal(t, "value", ctx.Value(name{}))
			require.ErrorIs(t, m.Do(ctx, "a", func(context.Context) error { return nil }), ErrDeadlock)
			require.NoError(t, first.Release(ctx))
			require.NoError(t, ctx.Err(), "of the outer lock only")
			return m.Do(ctx, "a", func(context.Context) error { return nil }) // held no longer
		})
	})
	require.NoError(t, err)
	requireGone(t, nodes.All()...)
}

// Whoever runs under a lock may close the Manager: the lock is released and its
// context ends, with nothing lost.
func TestCloseUnderALock(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	waiting := make(chan got, 1)
	err := m.Do(t.Context(), "k", func(ctx context.Context) error {
		waiter := await(t, t.Context(), m, "k", WithWait(time.Hour))
		require.NoError(t, m.Close())
		require.NoError(t, m.Close())
		waiting <- <-waiter
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.NotErrorIs(t, context.Cause(ctx), ErrLost)
		return ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, (<-waiting).err, ErrClosed)
	requireGone(t, nodes.All()...)
}

// Close meets renewals under way: none lands behind it.
func TestCloseRacesWithRenewals(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for range 10 {
		m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
		l := hold(t, m, "k", WithAutoRenew())
		renewing := make(chan error)
		stop := make(chan struct{})
		go func() {
			for {
				err := l.Extend(context.Background(), time.Minute)
				select {
				case renewing <- err:
				case <-stop:
					return
				}
			}
		}()
		require.NoError(t, <-renewing)
		require.NoError(t, m.Close())
		requireGone(t, nodes.All()...)
		require.Eventually(t, func() bool { return errors.Is(<-renewing, ErrNotOwner) }, patience, time.Millisecond)
		close(stop)
		require.Empty(t, lockKeys(t, nodes.All()...))
	}
}

// A process without a Manager has none to give: that is for the caller to see.
func TestNoDefault(t *testing.T) { //nolint:paralleltest // it is the process'
	before := Default()
	defer SetDefault(before)
	SetDefault(nil)
	require.Nil(t, Default())
}

func TestGuardedPassesOnWhatItIsGiven(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	failed := errors.New("failed")
	guarded := Guarded(m, func(key string) (string, error) {
		if key == "bad" {
			return "", failed
		}
		return key, nil
	}, func(ctx context.Context, key string) (int, error) {
		l, ok := FromContext(ctx)
		require.True(t, ok)
		require.Equal(t, key, l.Key())
		if key == "half" {
			return 7, failed
		}
		return 42, nil
	})
	n, err := guarded(t.Context(), "bad")
	require.Equal(t, failed, err)
	require.Zero(t, n)
	require.Zero(t, m.Stats().Acquired)
	n, err = guarded(t.Context(), "half")
	require.Equal(t, failed, err)
	require.Equal(t, 7, n, "what came with the error")
	n, err = guarded(t.Context(), "")
	require.ErrorIs(t, err, ErrInvalid)
	require.Zero(t, n)
	n, err = guarded(t.Context(), "good")
	require.NoError(t, err)
	require.Equal(t, 42, n)
	requireGone(t, nodes.All()...)
}
