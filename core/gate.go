package core

import (
	"context"
	"time"
)

// gate is where the callers of one key in this process meet: one of them holds
// the lock or stands in Redis for all, the others queue behind it, first in
// first out. A gate exists while anybody is at it.
//
// key and names never change. heard and wake are written under the Manager's mu by
// whoever stands, who may read them without; the other fields are guarded by it.
type gate struct {
	key      string
	names    names
	holder   *Lock   // the local holder, or nil
	standing *waiter // the caller that competes in Redis, or nil
	head     *waiter // the queue behind them
	tail     *waiter
	last     outcome   // of the last round that the nodes decided
	heard    *ear      // where the gate is registered for wake-ups, or nil
	turn     int       // turns taken on the holder's lease, from 0
	opened   time.Time // when that lease was granted
	wake     signal    // a wake-up for whoever stands; nil until the gate is registered
}

// waiter is one caller at a gate.
type waiter struct {
	ctx   context.Context
	set   settings
	start time.Time
	end   time.Time // when it gives up
	once  bool      // one round only: it shares the standing caller's, unless that is cut short
	turns chan turn // cap 1: exactly one is sent to a waiter taken off the queue
	chain *Lock     // the lock its context runs under

	// Guarded by the Manager's mu.
	prev, next *waiter
	queued     bool
}

func (m *Manager) newWaiter(ctx context.Context) *waiter {
	w, again := m.waiters.Get().(*waiter)
	if !again {
		w = new(waiter)
	}
	w.ctx, w.start = ctx, time.Now()
	return w
}

// retire keeps the waiter for another caller, when this one's call is over: it
// neither stands nor queues.
func (m *Manager) retire(w *waiter) {
	*w = waiter{}
	m.waiters.Put(w)
}

// turn is what a waiter gets when it leaves the queue.
type turn struct {
	lock   *Lock // handed over
	stand  bool  // compete in Redis now
	queued bool  // and begin by waiting to be woken: this process is in Redis' queue
	yields bool  // and begin by making it so: another process was woken and needs a moment to come
	err    error // refused
}

func (g *gate) push(w *waiter) {
	w.prev, w.next, w.queued = g.tail, nil, true
	if g.tail != nil {
		g.tail.next = w
	} else {
		g.head = w
	}
	g.tail = w
}

func (g *gate) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		g.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		g.tail = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
}

func (g *gate) pop() *waiter {
	w := g.head
	if w != nil {
		g.remove(w)
	}
	return w
}

// conclude takes down how a round that was not won went, and tells those who will
// not wait for another one.
func (g *gate) conclude(o outcome, now time.Time) {
	if o.isOutage() {
		o.since = now
		if g.last.isOutage() {
			o.since = g.last.since
		}
	}
	g.last = o
	g.refuse(o.err, func(w *waiter) bool { return w.once || w.outlasts(&o, now) })
}

// outlasts reports whether an outage has gone on for longer than w bears with it.
func (w *waiter) outlasts(o *outcome, now time.Time) bool {
	if !o.isOutage() {
		return false
	}
	begun := o.since
	if w.start.After(begun) {
		begun = w.start
	}
	return now.Sub(begun) >= w.set.MaxOutage
}

// refuse ends the wait of some of those who queue.
func (g *gate) refuse(err error, whom func(*waiter) bool) {
	for w := g.head; w != nil; {
		next := w.next
		if whom(w) {
			g.remove(w)
			w.turns <- turn{err: err}
		}
		w = next
	}
}

func (m *Manager) newGate(w *waiter, key string) *gate {
	return &gate{key: key, names: m.namesOf(key), standing: w}
}

// enter puts the caller at the key's gate. The first one stands at once. On success
// the call counts towards those that Close waits for.
func (m *Manager) enter(w *waiter, key string) (g *gate, stands bool, err error) {
	var first *gate
	if !w.once { // before mu is held; for who has to wait it is a small loss
		first = m.newGate(w, key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, false, ErrClosed
	}
	if g = m.gates[key]; g == nil {
		if first == nil {
			first = m.newGate(w, key)
		}
		m.gates[key] = first
		m.calls.Add(1)
		return first, true, nil
	}
	if w.once && g.holder != nil {
		return nil, false, ErrNotAcquired
	}
	if g.last.err != nil && (w.once || w.outlasts(&g.last, w.start)) {
		return nil, false, g.last.err
	}
	if err := m.want(w, g); err != nil {
		return nil, false, err
	}
	w.turns = make(chan turn, 1)
	g.push(w)
	m.waiting.Add(1)
	m.calls.Add(1)
	return g, false, nil
}

// leave takes a waiter that gives up off the queue. When its turn has come in
// the meantime, the turn is returned and must be used or passed on.
func (m *Manager) leave(g *gate, w *waiter) (turn, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.queued {
		g.remove(w)
		return turn{}, false
	}
	return <-w.turns, true
}

// settled is called when a waiter's wait in the queue is over, however it ended.
func (m *Manager) settled(g *gate, w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unwant(w, g)
	m.waiting.Add(-1)
}

// occupy makes l the holder.
func (m *Manager) occupy(g *gate, l *Lock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held++
	g.holder, g.standing, g.turn, g.opened = l, nil, 0, l.since
	g.last = outcome{}
	g.refuse(ErrNotAcquired, func(w *waiter) bool { return w.once })
}

// vacate ends l's place as holder and lets the next in line stand.
func (m *Manager) vacate(g *gate, l *Lock, next turn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.holder != l {
		return
	}
	m.held--
	g.holder = nil
	m.promote(g, next)
}

// promote lets the next in line stand, or closes the gate. mu is held.
func (m *Manager) promote(g *gate, next turn) {
	w := g.pop()
	g.standing = w
	if w != nil {
		if next.queued { // the lock went to another process, so whoever asks for one round is refused
			g.last = outcome{contention: true, err: ErrNotAcquired}
		}
		w.turns <- next
		return
	}
	delete(m.gates, g.key)
	m.mute(g)
}

// stepDown ends the standing of a caller that gives up.
func (m *Manager) stepDown(g *gate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g.standing = nil
	m.promote(g, turn{stand: true})
}
