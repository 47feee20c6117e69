package core

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// resume has the process find that the time of everybody who waits for nodes was over
// long ago, as after a suspension.
func resume(t *testing.T, m *Manager) {
	t.Helper()
	d := m.watchdog
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watches = slices.DeleteFunc(d.watches, func(w watch) bool { return w.isOver() })
	require.NotEmpty(t, d.watches, "nobody is watched")
	for i := range d.watches {
		d.watches[i].due = time.Now().Add(-time.Hour)
	}
	d.timer.Reset(0)
}

// What the nodes have answered while the process was suspended is read before
// anybody is told that they were silent.
func TestAnswersOfASuspensionCount(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*testing.T, *Manager, *Lock) error{
		"inspect": func(t *testing.T, m *Manager, _ *Lock) error { _, err := m.Inspect(t.Context(), "k"); return err },
		"renew":   func(t *testing.T, _ *Manager, l *Lock) error { return l.Renew(t.Context(), 2*time.Hour) },
		"extend":  func(t *testing.T, _ *Manager, l *Lock) error { return l.Extend(t.Context(), time.Hour) },
		"raise": func(t *testing.T, m *Manager, l *Lock) error {
			if !m.raise(t.Context(), l.lease, m.nodes[1:], 1, time.Now().Add(m.cfg.NodeTimeout)) {
				return ErrNoQuorum
			}
			return nil
		},
		"acquire": func(t *testing.T, m *Manager, _ *Lock) error {
			_, err := m.TryAcquire(t.Context(), "other")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
				l := hold(t, m, "k")
				thaw := freezeMajority(t, nodes)
				done := make(chan error, 1)
				go func() { done <- call(t, m, l) }()
				synctest.Wait()
				resume(t, m)
				synctest.Wait()
				require.Empty(t, done)
				thaw()
				require.NoError(t, <-done)
			})
		})
	}
}
