package cache_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// Whoever has ever new values made fills no server up: its locks are granted, and what
// else is on it stays. What there was no room for is in memory.
func TestValuesLeaveRoomForLocks(t *testing.T) {
	const (
		full  = 12 << 20
		value = 128 << 10
	)
	nodes := coretest.Redis(t, 1, coretest.WithConfig("maxmemory", fmt.Sprint(full)))
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), NodeTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, locks.Close()) })
	client := nodes.Node(0).Client()
	require.NoError(t, client.Set(t.Context(), "of-somebody-else", "1", 0).Err())
	c := open[[]byte](t, cache.Config{Locks: locks, Fresh: time.Hour, CompressAbove: -1,
		Store: cache.NewTiered(cache.NewMemory(2*full), cache.NewRedis(client))})
	require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
	noise := make([]byte, value) // nothing that could be compressed
	_, err = rand.Read(noise)
	require.NoError(t, err)
	fetch := func(context.Context) ([]byte, error) { return noise, nil }
	for i := range 2 * full / value {
		_, err := c.Get(t.Context(), fmt.Sprint(i), fetch)
		require.NoError(t, err)
	}
	require.Zero(t, c.Stats().LockErrors)
	require.Positive(t, c.Stats().StoreErrors, "all had room")
	lock, err := locks.Acquire(t.Context(), "of the application")
	require.NoError(t, err)
	require.NoError(t, lock.Release(t.Context()))
	require.NoError(t, client.Get(t.Context(), "of-somebody-else").Err())
	r, ok := c.Peek(t.Context(), fmt.Sprint(2*full/value-1))
	require.True(t, ok, "the last one is in memory")
	require.Equal(t, noise, r.Value)

	vital := open[[]byte](t, cache.Config{Namespace: "vital", Locks: locks, Fresh: time.Hour, CompressAbove: -1,
		Store: cache.NewRedis(client), OnStoreFailure: cache.FailClosed})
	stored, err := vital.Lookup(t.Context(), "k", fetch)
	require.NoError(t, err)
	require.True(t, stored.Stored, "what cannot be done without has the rest of the room")
}
