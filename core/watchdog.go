package core

import (
	"context"
	"slices"
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

	mu      sync.Mutex
	watches []watch   // in the order of their due, those that are over among them. Guarded by mu
	armed   bool      // the timer runs. Guarded by mu
	next    time.Time // when it runs out. Guarded by mu
	late    bool      // it has run out late, and runs once more for those it is about. Guarded by mu
}

// watch is kept on a wait as it was when it began.
type watch struct {
	wait *wait
	turn uint64
	due  time.Time
}

func (w *watch) isOver() bool { return w.wait.turn.Load() != w.turn }

// wait is one wait for nodes after the other, of the same caller or of many.
type wait struct {
	done signal // raised when there is something to look at
	// turn is even, and another one for every wait and for the time between two of them,
	// so that a wait ends without a word to the watchdog. Odd: it has lasted long enough.
	turn atomic.Uint64
}

func (w *wait) overdue() bool { return w.turn.Load()&1 != 0 }

// pass goes to the next turn.
func (w *wait) pass() uint64 {
	next := (w.turn.Load() | 1) + 1
	w.turn.Store(next)
	return next
}

// forget ends a wait.
func (w *wait) forget() { w.pass() }

// leastBehind is how late a timer is not for being a timer.
const leastBehind = 10 * time.Millisecond

// fewWaits are not worth looking for those that are over.
const fewWaits = 256

func newWatchdog(nodeTimeout time.Duration) *watchdog {
	d := &watchdog{timer: time.NewTimer(time.Hour), patience: nodeTimeout / 4}
	d.timer.Stop()
	return d
}

// begin begins a wait that is overdue at due. Most waits are of the same length, so
// hardly any is due before those that have begun.
func (d *watchdog) begin(w *wait, due time.Time) {
	turn := w.pass()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.watches) == cap(d.watches) {
		d.tidy()
	}
	i := len(d.watches)
	for i > 0 && d.watches[i-1].due.After(due) {
		i--
	}
	d.watches = slices.Insert(d.watches, i, watch{w, turn, due})
	if !d.armed || due.Before(d.next) && !d.late {
		d.armed, d.next = true, due
		d.timer.Reset(time.Until(due))
	}
}

// tidy makes room for as many as there are. mu is held.
func (d *watchdog) tidy() {
	d.watches = slices.DeleteFunc(d.watches, func(w watch) bool { return w.isOver() })
	d.watches = slices.Grow(d.watches, max(len(d.watches), fewWaits))
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
	d.watches = slices.DeleteFunc(d.watches, func(w watch) bool { return w.isOver() })
	if d.spares(now) {
		return
	}
	overdue := 0
	for ; overdue < len(d.watches) && !now.Before(d.watches[overdue].due); overdue++ {
		if w := &d.watches[overdue]; w.wait.turn.CompareAndSwap(w.turn, w.turn|1) {
			w.wait.done.raise()
		}
	}
	d.watches = slices.Delete(d.watches, 0, overdue)
	if d.armed = len(d.watches) > 0; d.armed {
		d.next = d.watches[0].due
		d.timer.Reset(d.next.Sub(now))
	}
}

// spares lets those who are overdue wait a little longer if that was noticed late: the
// process has been suspended, or had no processor, and what the nodes have answered
// meanwhile is yet to be read. mu is held.
func (d *watchdog) spares(now time.Time) bool {
	if d.late || len(d.watches) == 0 {
		d.late = false
		return false
	}
	behind := now.Sub(d.watches[0].due)
	if d.late = behind >= leastBehind; d.late {
		d.timer.Reset(min(behind, d.patience))
	}
	return d.late
}

// rouse has everybody who waits look again.
func (d *watchdog) rouse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.watches {
		w.wait.done.raise()
	}
}

// awaitAnswers returns when settled says so, which w is told to look at; when the
// watchdog finds due over; or when ctx is done.
func (m *Manager) awaitAnswers(ctx context.Context, w *wait, due time.Time, settled func() bool) {
	m.watchdog.begin(w, due)
	defer w.forget()
	for !settled() && !w.overdue() && w.done.await(ctx.Done(), nil) == bySignal {
	}
}
