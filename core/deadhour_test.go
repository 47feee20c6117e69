package core

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A node that is dead for an hour, in whichever way, costs one line of the log a
// second at most, or two if it comes back in between, and no more goroutines,
// connections and attempts to connect at the end than after a minute.
func TestDeadNodeForAnHour(t *testing.T) {
	for fault, length := range map[standInFault]time.Duration{
		standsDown: time.Hour, standsFar: time.Hour, standsFrozen: time.Hour,
		standsMute: 10 * time.Minute, standsMad: 10 * time.Minute, // which costs more
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := newStandIns(t, 3, time.Millisecond)
				log := &logTimes{}
				m := managerOnStandIns(t, nodes, Config{NodeTimeout: 200 * time.Millisecond, TTL: time.Hour, Logger: slog.New(log)})
				defer func() {
					require.NoError(t, m.Close())
					time.Sleep(time.Minute) // go-redis gives up a dial later than whoever wanted it
				}()
				nodes[0].suffer(fault)
				minute := useFor(t, m, time.Minute)
				dials := nodes[0].dialed()
				require.LessOrEqual(t, useFor(t, m, length), minute+4, "goroutines")
				require.LessOrEqual(t, nodes[0].mostOpen(), 4, "connections at a time")
				require.LessOrEqual(t, nodes[0].dialed()-dials, int(length/time.Second)*5/2, "attempts to connect")
				log.requireRare(t)
			})
		})
	}
}

// useFor takes locks for d and returns how many goroutines there are then.
func useFor(t *testing.T, m *Manager, d time.Duration) int {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		require.NoError(t, hold(t, m, "k").Release(t.Context()))
	}
	return runtime.NumGoroutine()
}

func (n *standIn) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *standIn) mostOpen() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.most
}

// logTimes notes when a failure was logged, and counts what else was.
type logTimes struct {
	mu       sync.Mutex
	failures []time.Time // guarded by mu
	returns  int         // guarded by mu
}

func (l *logTimes) Enabled(context.Context, slog.Level) bool { return true }
func (l *logTimes) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logTimes) WithGroup(string) slog.Handler            { return l }

// Handle implements slog.Handler.
func (l *logTimes) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Level >= slog.LevelWarn {
		l.failures = append(l.failures, r.Time)
	} else {
		l.returns++
	}
	return nil
}

func (l *logTimes) requireRare(t *testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	require.NotEmpty(t, l.failures)
	for i := range l.failures[1:] {
		require.GreaterOrEqual(t, l.failures[i+1].Sub(l.failures[i]), time.Second, "lines of the log")
	}
	require.LessOrEqual(t, l.returns, len(l.failures))
}

// A node that comes and goes a hundred times a second is a line a second.
func TestLogOfFlappingNodeIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &logLines{}
		m := managerOnStandIns(t, newStandIns(t, 1, 0), Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
		n := m.nodes[0]
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			n.failed(errForgot)
			n.answered()
		}
		require.Equal(t, 10, log.about("node failed"))
		require.Equal(t, 10, log.about("node votes again"))
		require.NoError(t, m.Close())
		time.Sleep(time.Minute)
	})
}
