package core

import (
	"context"
	"time"
)

// await returns when the asked nodes have decided, or when their time, which began
// at now, is over.
func (r *round) await(ctx context.Context, now time.Time, one bool) {
	if r.settled(one) {
		return
	}
	due := now.Add(r.m.cfg.NodeTimeout)
	var late <-chan time.Time
	if r.end.Before(due) {
		timer := r.m.timers.get(time.Until(r.end))
		defer r.m.timers.put(timer)
		late = timer.C
	}
	r.m.watchdog.begin(&r.wait, due)
	defer r.forget()
	for !r.m.isClosed() && !r.overdue() {
		if r.done.await(ctx.Done(), late) != bySignal || r.settled(one) {
			return
		}
	}
}

// lastRound is what a round that begins just before the end of the wait gets all
// the same, so that it can tell contention from an outage.
const lastRound = 25 * time.Millisecond

// endOf is when the caller of a round that begins at start must have its answer.
func (m *Manager) endOf(w *waiter, start time.Time) time.Time {
	if w.once {
		return start.Add(m.cfg.NodeTimeout)
	}
	if last := start.Add(lastRound); last.After(w.end) {
		return last
	}
	return w.end
}

func (r *round) settled(one bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending == 0 || !one && r.decided()
}
