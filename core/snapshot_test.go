package core_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

func managerFor(t testing.TB, edit func(*core.Config)) *core.Manager {
	t.Helper()
	cfg := core.Config{NodeTimeout: 10 * time.Second}
	edit(&cfg)
	m, err := core.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	if len(cfg.Clients) == 0 { // on a loaded machine New may be back before the nodes vote
		require.Eventually(t, func() bool { h, err := m.Health(t.Context()); return err == nil && h.Voting == len(cfg.Nodes) }, time.Minute, 10*time.Millisecond)
	}
	return m
}

func TestSnapshotListsLocksAndQueues(t *testing.T) {
	nodes := coretest.Embedded(t, 3)
	m := managerFor(t, func(c *core.Config) { c.Nodes = nodes.URLs() })
	require.Empty(t, m.Snapshot(10).Locks)

	first, err := m.Acquire(t.Context(), "first", core.WithTTL(time.Minute))
	require.NoError(t, err)
	second, err := m.Acquire(t.Context(), "second", core.WithTTL(time.Minute))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	defer waiters.Wait()
	defer cancel()
	for range 3 {
		waiters.Go(func() { _, _ = m.Acquire(ctx, "second", core.WithWait(time.Minute)) })
	}
	require.Eventually(t, func() bool {
		s := m.Snapshot(10)
		return s.Queued == 1 && s.Queues[0].Waiting == 3
	}, 10*time.Second, time.Millisecond)

	s := m.Snapshot(10)
	require.Equal(t, 2, s.Held)
	require.Len(t, s.Locks, 2)
	require.Equal(t, first.FencingToken(), s.Locks[0].FencingToken, "the oldest first")
	require.Equal(t, second.FencingToken(), s.Locks[1].FencingToken)
	require.InDelta(t, time.Minute, s.Locks[0].TTL, float64(30*time.Second))
	require.GreaterOrEqual(t, len(s.Locks[0].Nodes), 2)
	require.Equal(t, "second", s.Queues[0].Key)
	require.True(t, s.Queues[0].HeldHere)
	require.WithinDuration(t, s.At, s.Queues[0].Since, 30*time.Second)

	s = m.Snapshot(1)
	require.Len(t, s.Locks, 1)
	require.Equal(t, 2, s.Held, "what is left out is counted")
	require.Empty(t, m.Snapshot(-1).Locks)
}

func TestSnapshotSeesWhoWaitsForAnotherProcess(t *testing.T) {
	nodes := coretest.Embedded(t, 3)
	owner := managerFor(t, func(c *core.Config) { c.Nodes = nodes.URLs() })
	m := managerFor(t, func(c *core.Config) { c.Nodes = nodes.URLs() })
	_, err := owner.Acquire(t.Context(), "k", core.WithTTL(time.Minute))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var waiters sync.WaitGroup
	defer waiters.Wait()
	defer cancel()
	for range 2 {
		waiters.Go(func() { _, _ = m.Acquire(ctx, "k", core.WithWait(time.Minute)) })
	}
	require.Eventually(t, func() bool {
		s := m.Snapshot(1)
		return len(s.Queues) == 1 && s.Queues[0].Waiting == 2
	}, 10*time.Second, time.Millisecond, "the one that stands in Redis counts")
	require.False(t, m.Snapshot(1).Queues[0].HeldHere)
}

// TestSnapshotUnderLoad is for the race detector.
func TestSnapshotUnderLoad(t *testing.T) {
	nodes := coretest.Embedded(t, 1)
	m := managerFor(t, func(c *core.Config) { c.Nodes = nodes.URLs() })
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for i := range 30 {
				err := m.Do(t.Context(), fmt.Sprint("k", (c+i)%3), func(context.Context) error { return nil }, core.WithWait(time.Minute))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		s := m.Snapshot(100)
		if len(s.Locks) > 3 {
			t.Fatalf("more locks than keys: %+v", s.Locks)
		}
	}
	require.Eventually(t, func() bool { return m.Snapshot(1).Held == 0 }, 10*time.Second, time.Millisecond)
}

func ExampleManager_Snapshot() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		panic(err)
	}
	defer nodes.Close()
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	defer locks.Close()

	_ = locks.Do(context.Background(), "order_42", func(context.Context) error {
		for _, l := range locks.Snapshot(100).Locks {
			fmt.Println(l.Key, "held on", len(l.Nodes) >= 2)
		}
		return nil
	})
	// Output: order_42 held on true
}
