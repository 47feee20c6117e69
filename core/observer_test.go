package core_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// eventList keeps what it is told.
type eventList struct {
	mu     sync.Mutex
	events []core.Event // guarded by mu
}

func (l *eventList) Observe(_ context.Context, e core.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventList) of(key string) (kinds []core.EventKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Key == key {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func TestEventsOfALockInOrder(t *testing.T) {
	var seen eventList
	began := time.Now()
	nodes := coretest.Embedded(t, 3)
	m := managerFor(t, func(c *core.Config) { c.Nodes, c.Observer = nodes.URLs(), &seen })
	l, err := m.Acquire(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, l.Renew(t.Context(), time.Minute))
	require.NoError(t, l.Release(t.Context()))
	require.Equal(t, []core.EventKind{core.EventAcquired, core.EventRenewed, core.EventReleased}, seen.of("k"))
	for _, e := range seen.events {
		require.False(t, e.Time.Before(began), "every event has a time: %+v", e)
	}
}

func TestWaitingIsToldOnceWhereverTheHolderIs(t *testing.T) {
	for _, place := range []string{"this process", "another"} {
		t.Run(place, func(t *testing.T) {
			var seen eventList
			nodes := coretest.Embedded(t, 3)
			m := managerFor(t, func(c *core.Config) { c.Nodes, c.Observer = nodes.URLs(), &seen })
			holder := m
			if place == "another" {
				holder = managerFor(t, func(c *core.Config) { c.Nodes = nodes.URLs() })
			}
			l, err := holder.Acquire(t.Context(), "k")
			require.NoError(t, err)
			before := len(seen.of("k")) // the holder may have waited for the nodes
			var waiter sync.WaitGroup
			waiter.Go(func() {
				if l, err := m.Acquire(t.Context(), "k", core.WithWait(time.Minute)); err == nil {
					_ = l.Release(t.Context())
				}
			})
			require.Eventually(t, func() bool { return slices.Contains(seen.of("k")[before:], core.EventWaiting) }, 10*time.Second, time.Millisecond)
			require.NoError(t, l.Release(t.Context()))
			waiter.Wait()
			waits := 0
			for _, kind := range seen.of("k")[before:] {
				if kind == core.EventWaiting {
					waits++
				}
			}
			require.Equal(t, 1, waits)
		})
	}
}

func TestRefusalsAndDeadNodesAreTold(t *testing.T) {
	var seen eventList
	nodes := coretest.Embedded(t, 3)
	m := managerFor(t, func(c *core.Config) { c.Nodes, c.Observer = nodes.URLs(), &seen })
	_, err := m.Acquire(t.Context(), "k")
	require.NoError(t, err)
	_, err = m.TryAcquire(context.WithoutCancel(t.Context()), "k")
	require.ErrorIs(t, err, core.ErrNotAcquired)
	require.Contains(t, seen.of("k"), core.EventRefused)

	require.NoError(t, nodes.Node(0).Kill())
	require.Eventually(t, func() bool {
		_, _ = m.Health(t.Context())
		return slices.Contains(seen.of(""), core.EventNodeDown)
	}, time.Minute, time.Millisecond)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, e := range seen.events {
		if e.Kind == core.EventNodeDown {
			require.Equal(t, nodes.Node(0).Addr(), e.Node)
		}
		if e.Kind == core.EventNodeDown || e.Kind == core.EventRefused {
			require.Error(t, e.Err)
		}
	}
}

func TestMultiObserverTellsAll(t *testing.T) {
	var a, b eventList
	core.MultiObserver(&a, nil, &b).Observe(t.Context(), core.Event{Key: "k", Kind: core.EventLost})
	require.Equal(t, []core.EventKind{core.EventLost}, a.of("k"))
	require.Equal(t, []core.EventKind{core.EventLost}, b.of("k"))
	require.Same(t, &a, core.MultiObserver(nil, &a))
	require.Nil(t, core.MultiObserver(nil))
}

func ExampleMultiObserver() {
	print := observerFunc(func(e core.Event) { fmt.Println(e.Key, e.Kind == core.EventLost) })
	core.MultiObserver(print, print).Observe(context.Background(), core.Event{Kind: core.EventLost, Key: "k"})
	// Output:
	// k true
	// k true
}

type observerFunc func(core.Event)

func (f observerFunc) Observe(_ context.Context, e core.Event) { f(e) }
