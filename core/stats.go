package core

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// counters are the Manager's, updated without a lock.
type counters struct {
	acquired, handedOver, refused, released, lost, timeouts, deadlocks atomic.Uint64
}

// Stats are the counters since New.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	held := m.held
	m.mu.Unlock()
	c := &m.counters
	s := Stats{
		Held: held, Waiting: int(m.waiting.Load()),
		Acquired: c.acquired.Load(), HandedOver: c.handedOver.Load(), Refused: c.refused.Load(),
		Released: c.released.Load(), Lost: c.lost.Load(), Timeouts: c.timeouts.Load(),
		Deadlocks: c.deadlocks.Load(), Quorum: quorumOf(len(m.nodes)),
	}
	now := time.Now()
	for _, n := range m.nodes {
		s.Nodes = append(s.Nodes, NodeStats{
			Node: n.name, Commands: n.wire.Commands(), Errors: n.errors.Load(),
			Voting: n.ballot.Load().refusal(now) == nil && !n.down.Load(),
		})
	}
	return s
}

func (m *Manager) observe(ctx context.Context, e Event) {
	if m.cfg.Observer != nil {
		m.cfg.Observer.Observe(ctx, e)
	}
}

// acquired counts a lock that is the caller's now.
func (m *Manager) acquired(l *Lock, w *waiter) {
	m.counters.acquired.Add(1)
	kind := EventAcquired
	if l.token != l.lease.token {
		m.counters.handedOver.Add(1)
		kind = EventHandedOver
	}
	m.observe(w.ctx, Event{Kind: kind, Key: l.Key(), Owner: l.Owner(), FencingToken: l.token, Time: l.since, Duration: l.since.Sub(w.start)})
}

func (m *Manager) released(l *Lock, now time.Time, err error) {
	m.counters.released.Add(1)
	m.observe(&l.ctx, Event{Kind: EventReleased, Key: l.Key(), Owner: l.Owner(), FencingToken: l.token, Time: now, Duration: now.Sub(l.since), Err: err})
}

// lost tells of a lock's loss and lets the next in line compete.
func (m *Manager) lost(l *Lock) {
	m.counters.lost.Add(1)
	m.vacate(l.gate, l, turn{stand: true})
	now := time.Now()
	m.observe(&l.ctx, Event{Kind: EventLost, Key: l.Key(), Owner: l.Owner(), FencingToken: l.token, Time: now, Duration: now.Sub(l.since), Err: ErrLost})
}

// refuse makes the caller's error of a failed acquisition.
func (m *Manager) refuse(ctx context.Context, key string, w *waiter, err error) error {
	if w.set.Tentative && errors.Is(err, ErrNotAcquired) {
		return lockError("acquire", key, err)
	}
	m.counters.refused.Add(1)
	switch {
	case errors.Is(err, ErrTimeout):
		m.counters.timeouts.Add(1)
	case errors.Is(err, ErrDeadlock):
		m.counters.deadlocks.Add(1)
	}
	err = lockError("acquire", key, err)
	now := time.Now()
	m.observe(ctx, Event{Kind: EventRefused, Key: key, Time: now, Duration: now.Sub(w.start), Err: err})
	return err
}
