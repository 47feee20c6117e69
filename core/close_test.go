package core

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestCloseReleasesEverything(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour), func(c *Config) { c.Wait = time.Hour })
	other := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	var held []*Lock
	for i := range 50 {
		held = append(held, hold(t, m, fmt.Sprint("k", i), WithAutoRenew()))
	}
	queued := await(t, t.Context(), m, "k0")
	theirs := hold(t, other, "theirs")
	standing := acquireSoon(t, m, "theirs")
	awaitRegistered(t, m, "theirs", 1, nodes.All()...)

	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() { assert.NoError(t, m.Close()) })
	}
	wait.Wait()
	require.ErrorIs(t, (<-queued).err, ErrClosed)
	require.ErrorIs(t, (<-standing).err, ErrClosed)
	require.NoError(t, theirs.Release(t.Context()))
	requireGone(t, nodes.All()...)
	for _, l := range held {
		require.Error(t, l.Context().Err())
		require.NoError(t, l.Release(t.Context()))
		require.Error(t, l.Extend(t.Context(), time.Hour))
	}
	_, err := m.Acquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrClosed)
	_, err = m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, m.Do(t.Context(), "k", func(context.Context) error { return nil }), ErrClosed)
	_, err = m.Inspect(t.Context(), "k")
	require.ErrorIs(t, err, ErrClosed)
	_, err = m.IsLocked(t.Context(), "k")
	require.ErrorIs(t, err, ErrClosed)
	_, err = m.Health(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, m.Stats().Held)
}

// Close does not wait for nodes that do not answer, nor for those that are down.
func TestCloseInOutage(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withNodeTimeout(frozen), withTTL(time.Hour))
	hold(t, m, "k")
	require.NoError(t, nodes.Node(0).Freeze())
	require.NoError(t, nodes.Node(1).Kill())
	quickly(t, "close", func() { require.ErrorIs(t, m.Close(), ErrNotReleased) })
	require.NoError(t, nodes.Node(0).Thaw())
	requireGone(t, nodes.Node(0), nodes.Node(2))
}

// Close meets acquisitions under way: each ends with a lock that is released or
// with ErrClosed.
func TestCloseRacesWithAcquire(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for range 10 {
		m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
		var wait sync.WaitGroup
		for i := range 32 {
			wait.Go(func() {
				if _, err := m.Acquire(t.Context(), fmt.Sprint("k", i%8)); err != nil {
					assert.ErrorIs(t, err, ErrClosed)
				}
			})
		}
		require.NoError(t, m.Close())
		wait.Wait()
		requireGone(t, nodes.All()...)
	}
}
