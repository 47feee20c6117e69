package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends the waits for nodes that have lasted NodeTimeout, with one timer
// for all of them: hardly any wait lasts that long, and a timer of its own costs a
// wait more than all the rest of it.
type watchdog struct {
	timer    *time.Timer
	patience time.Duration // with waits that were found overdue late

	mu    sync.Mutex
	waits wait      // the ring's own place; behind it who waits, in the order of their due. Guarded by mu
	armed bool      // the timer runs. Guarded by mu
	next  time.Time // when it runs out. Guarded by mu
	late  bool      // it has run out late, and runs once more for those it is about. Guarded by mu
}

// wait is one wait for nodes.
type wait struct {
	done    signal      // raised when there is something to look at
	overdue atomic.Bool // it has lasted long enough

	due        time.Time // guarded by the watchdog's mu
	prev, next *wait     // nil while nobody waits. Guarded by the watchdog's mu
}

// leastBehind is how late a timer is not for being a timer.
const leastBehind = 10 * time.Millisecond

func newWatchdog(nodeTimeout time.Duration) *watchdog {
	d := &watchdog{timer: time.NewTimer(time.Hour), patience: nodeTimeout / 4}
	d.timer.Stop()
	d.waits.prev, d.waits.next = &d.waits, &d.waits
	return d
}

// watch begins a wait that is overdue at due. Most waits are of the same length, so
// hardly any is due before those that have begun.
func (d *watchdog) watch(w *wait, due time.Time) {
	w.overdue.Store(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.waits.prev
	for before != &d.waits && before.due.After(due) {
		before = before.prev
	}
	w.due, w.prev, w.next = due, before, before.next
	w.prev.next, w.next.prev = w, w
	if !d.armed || due.Before(d.next) && !d.late {
		d.armed, d.next = true, due
		d.timer.Reset(time.Until(due))
	}
}

// forget ends a wait. Nobody raises its signal on the watchdog's behalf any more.
func (d *watchdog) forget(w *wait) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.next != nil {
		d.remove(w)
	}
}

// remove is called with mu held.
func (d *watchdog) remove(w *wait) {
	w.prev.next, w.next.prev = w.next, w.prev
	w.prev, w.next = nil, nil
}

// run ends with ctx.
func (d *watchdog) run(ctx context.Context) {
	defer d.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.timer.C:
			d.bark(time.Now())
		}
	}
}

// bark ends the waits that are overdue at now, and sleeps until the next one is.
func (d *watchdog) bark(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.spares(now) {
		return
	}
	for w := d.waits.next; w != &d.waits; w = d.waits.next {
		if left := w.due.Sub(now); left > 0 {
			d.next = w.due
			d.timer.Reset(left)
			return
		}
		d.remove(w)
		w.overdue.Store(true)
		w.done.raise()
	}
	d.armed = false
}

// spares lets those who are overdue wait a little longer if that was noticed late: the
// process has been suspended, or had no processor, and what the nodes have answered
// meanwhile is yet to be read. mu is held.
func (d *watchdog) spares(now time.Time) bool {
	first := d.waits.next
	if d.late || first == &d.waits {
		d.late = false
		return false
	}
	behind := now.Sub(first.due)
	if d.late = behind >= leastBehind; d.late {
		d.timer.Reset(min(behind, d.patience))
	}
	return d.late
}

// rouse has everybody who waits look again.
func (d *watchdog) rouse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := d.waits.next; w != &d.waits; w = w.next {
		w.done.raise()
	}
}

// awaitAnswers returns when settled says so, which w is told to look at; when the
// watchdog finds due over; or when ctx is done.
func (m *Manager) awaitAnswers(ctx context.Context, w *wait, due time.Time, settled func() bool) {
	m.watchdog.watch(w, due)
	defer m.watchdog.forget(w)
	for !settled() && !w.overdue.Load() {
		select {
		case <-w.done:
		case <-ctx.Done():
			return
		}
	}
}
