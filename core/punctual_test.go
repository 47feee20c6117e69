package core

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	punctualTimeout = 200 * time.Millisecond // NodeTimeout here
	punctualSlack   = 50 * time.Millisecond  // what a call may take beyond its deadline
)

// punctualCalls are all that ask the nodes, each with the longest that it may take.
var punctualCalls = []struct {
	name  string
	limit time.Duration
	run   func(ctx context.Context, m *Manager, held *Lock) error
}{
	{"acquire within 120ms", 120 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		return acquireAndForget(m.Acquire(ctx, "free", WithWait(120*time.Millisecond)))
	}},
	{"acquire within 1s", time.Second, func(ctx context.Context, m *Manager, _ *Lock) error {
		return acquireAndForget(m.Acquire(ctx, "free", WithWait(time.Second)))
	}},
	{"acquire with a deadline", 150 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
		defer cancel()
		return acquireAndForget(m.Acquire(ctx, "free", WithWait(time.Hour)))
	}},
	{"acquire what is held", 700 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		return acquireAndForget(m.Acquire(ctx, "taken", WithWait(700*time.Millisecond)))
	}},
	{"acquire what is held, with a deadline", 300 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		return acquireAndForget(m.Acquire(ctx, "taken", WithWait(time.Hour)))
	}},
	{"acquire what this process holds", 300 * time.Millisecond, func(ctx context.Context, m *Manager, held *Lock) error {
		return acquireAndForget(m.Acquire(ctx, held.Key(), WithWait(300*time.Millisecond)))
	}},
	{"acquire behind others of this process", 300 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		startOthers(ctx, m)
		return acquireAndForget(m.Acquire(ctx, "free", WithWait(300*time.Millisecond)))
	}},
	{"do", 150 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
		defer cancel()
		return m.Do(ctx, "free", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}},
	{"try", punctualTimeout, func(ctx context.Context, m *Manager, _ *Lock) error {
		return acquireAndForget(m.TryAcquire(ctx, "free"))
	}},
	{"try with a deadline", 80 * time.Millisecond, func(ctx context.Context, m *Manager, _ *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 80*time.Millisecond)
		defer cancel()
		return acquireAndForget(m.TryAcquire(ctx, "free"))
	}},
	{"extend", punctualTimeout, func(ctx context.Context, _ *Manager, held *Lock) error { return held.Extend(ctx, time.Minute) }},
	{"renew with a deadline", 80 * time.Millisecond, func(ctx context.Context, _ *Manager, held *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 80*time.Millisecond)
		defer cancel()
		return held.Renew(ctx, time.Minute)
	}},
	{"release", punctualTimeout, func(ctx context.Context, _ *Manager, held *Lock) error { return held.Release(ctx) }},
	{"inspect", punctualTimeout, func(ctx context.Context, m *Manager, held *Lock) error {
		_, err := m.Inspect(ctx, held.Key())
		return err
	}},
	{"inspect with a deadline", 80 * time.Millisecond, func(ctx context.Context, m *Manager, held *Lock) error {
		ctx, cancel := context.WithTimeout(ctx, 80*time.Millisecond)
		defer cancel()
		_, err := m.IsLocked(ctx, held.Key())
		return err
	}},
	{"health", punctualTimeout, func(ctx context.Context, m *Manager, _ *Lock) error {
		_, err := m.Health(ctx)
		return err
	}},
	{"close", punctualTimeout, func(_ context.Context, m *Manager, _ *Lock) error { return m.Close() }},
	{"close while others acquire", punctualTimeout, func(ctx context.Context, m *Manager, _ *Lock) error {
		startOthers(ctx, m)
		return m.Close()
	}},
}

// startOthers has callers queue that wait until the Manager is closed.
func startOthers(ctx context.Context, m *Manager) {
	for i := range 8 {
		go func() { _, _ = m.Acquire(ctx, []string{"free", "taken"}[i%2], WithWait(time.Hour)) }()
	}
	synctest.Wait()
}

func acquireAndForget(_ *Lock, err error) error { return err }

// punctualOutages are the faults of each of five nodes.
var punctualOutages = map[string][]standInFault{
	"frozen majority":  {standsFrozen, standsFrozen, standsFrozen, standsWell, standsWell},
	"all frozen":       {standsFrozen, standsFrozen, standsFrozen, standsFrozen, standsFrozen},
	"all down":         {standsDown, standsDown, standsDown, standsDown, standsDown},
	"all far":          {standsFar, standsFar, standsFar, standsFar, standsFar},
	"all half-open":    {standsHalf, standsHalf, standsHalf, standsHalf, standsHalf},
	"mute majority":    {standsMute, standsMute, standsMute, standsWell, standsWell},
	"all flapping":     {standsMad, standsMad, standsMad, standsMad, standsMad},
	"of every kind":    {standsFrozen, standsDown, standsFar, standsHalf, standsMad},
	"of several kinds": {standsFar, standsFrozen, standsHalf, standsWell, standsWell},
}

// Whatever is wrong with however many nodes, whenever it began, every call
// returns at most 50 ms after its deadline: its wait, its context's deadline, or
// NodeTimeout where it has no other. By the bubble's clock, to the nanosecond.
func TestEveryCallIsPunctualInEveryOutage(t *testing.T) {
	t.Parallel()
	for name, faults := range punctualOutages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, call := range punctualCalls {
				for _, onset := range []time.Duration{-time.Minute, 0, 4 * time.Millisecond, 60 * time.Millisecond} {
					what := fmt.Sprintf("%s, %v after the call began", call.name, onset)
					synctest.Test(t, func(t *testing.T) { requirePunctual(t, what, faults, onset, call.limit, call.run) })
				}
			}
		})
	}
}

func requirePunctual(t *testing.T, what string, faults []standInFault, onset, limit time.Duration, run func(context.Context, *Manager, *Lock) error) {
	nodes := newStandIns(t, len(faults), 3*time.Millisecond)
	cfg := Config{NodeTimeout: punctualTimeout, TTL: time.Hour}
	other, m := managerOnStandIns(t, nodes, cfg), managerOnStandIns(t, nodes, cfg)
	hold(t, other, "taken")
	held := hold(t, m, "held")
	begin := func() {
		for i, f := range faults {
			nodes[i].suffer(f)
		}
	}
	if onset < 0 {
		begin()
		time.Sleep(-onset) // in the bubble
	} else {
		time.AfterFunc(onset, begin)
	}
	began := time.Now()
	err := run(t.Context(), m, held)
	assert.LessOrEqual(t, time.Since(began), limit+punctualSlack, "%s: %v", what, err)
	if onset < 0 && faults[0] == faults[2] && faults[0] != standsHalf && faults[0] != standsMad { // a majority is gone for good
		assert.Error(t, err, what)
	}
	time.Sleep(max(onset, 0) - min(time.Since(began), max(onset, 0)))
	_, _ = other.Close(), m.Close()
	time.Sleep(time.Minute) // go-redis gives up a dial later than whoever wanted it
}
