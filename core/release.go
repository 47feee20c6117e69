package core

import (
	"context"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Release gives the lock up, to the next local caller or in Redis, and wakes
// whoever waits for it. It works on a cancelled ctx, within NodeTimeout.
// Calling it again, concurrently too, returns the same result.
//
// ErrExpired: the lease had run out before; nobody else's key was touched.
// ErrNotOwner: it had, and another owner holds the key. ErrNotReleased: too few
// nodes confirmed; the release is repeated on those that come back, and the
// lease ends in any case.
func (l *Lock) Release(_ context.Context) error {
	if l == nil {
		return lockError("release", "", errNoLock)
	}
	return l.releaseBy(context.Background())
}

// releaseBy waits for the nodes' answers no longer than ctx and lastRound; the
// release is on its way then.
func (l *Lock) releaseBy(ctx context.Context) error {
	l.release.Do(func() { l.err = l.m.release(ctx, l) }) // who comes second waits for the first
	return l.err
}

func (m *Manager) release(ctx context.Context, l *Lock) error {
	now := time.Now()
	handed, expired, behind := m.letGo(l, now)
	var err error
	if !handed {
		err = m.giveBack(ctx, l, now, expired, behind)
	}
	m.released(l, now, err)
	return err
}

// letGo ends the lock's turn: the lease is handed to the next in line, or ends
// here and has to be given back in Redis.
func (m *Manager) letGo(l *Lock, now time.Time) (handed, expired bool, behind heirs) {
	expired = l.expired(now)
	l.ctx.cancel(nil)
	if !expired {
		if handed, behind = m.handOver(l, now); handed {
			return true, false, behind
		}
	}
	l.lease.end(now, false)
	m.keeper.forget(l.lease)
	return false, expired, behind
}

// expired reports whether the lease was lost, or is over at now, in the lock's
// turn. The context's cause does not tell: it may be that of another lock, whose
// context it is a child of.
func (l *Lock) expired(now time.Time) bool {
	over, lost := l.standing(now)
	if over || lost { // also if lost: who was first may have yet to tell the context
		l.lease.lose()
		_, lost = l.standing(now)
	}
	return lost
}

// standing says whether the lease's time is over at now, and whether it was lost in the lock's turn.
func (l *Lock) standing(now time.Time) (over, lost bool) {
	s := l.lease
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.until), l.lost
}

// giveBack tells Redis of the end of a lease, and what became of it.
func (m *Manager) giveBack(ctx context.Context, l *Lock, now time.Time, expired bool, behind heirs) error {
	r := m.sendReleases(l.lease, now, behind)
	r.await(ctx)
	next, err := r.conclude(l.lease, expired, behind)
	m.vacate(l.gate, l, next)
	return err
}

// decline gives a lock back that came to a caller who has left: to the next in
// line, or in Redis, where nobody waits for the answers.
func (m *Manager) decline(l *Lock) {
	now := time.Now()
	if handed, _, _ := m.letGo(l, now); handed {
		return
	}
	m.sendReleases(l.lease, now, heirs{}).leave()
	m.vacate(l.gate, l, turn{stand: true})
}

// farewell counts the answers to one release. It is used again for another one
// when all answers are there and nobody waits for them any more.
type farewell struct {
	m    *Manager
	wait // of who releases, for the answers that matter

	debt    debt
	request wire.Request // to the nodes that are asked for nothing special
	sent    time.Time
	until   time.Time // when the key has ended by itself
	valid   time.Time // until when the lease is ours on the nodes in held
	held    nodeSet   // that held the lease when the release was sent
	need    int
	home    int // index of the node whose answer is waited for too; -1: none

	mu       sync.Mutex
	codes    []farewellCode // guarded by mu
	released int            // guarded by mu
	pending  int            // guarded by mu
	left     bool           // by who waited. Guarded by mu
	room     [5]farewellCode
}

type farewellCode struct {
	told  bool // answered or failed
	freed bool // the release, and nothing else, took our key away
	code  int64
	err   error
}

func (c *farewellCode) answered() bool { return c.told && c.err == nil }

func (m *Manager) newFarewell(s *lease, now time.Time) *farewell {
	f, again := m.farewells.Get().(*farewell)
	if !again {
		f = &farewell{m: m, wait: wait{done: make(signal, 1)}, need: quorumOf(len(m.nodes))}
		if f.codes = f.room[:]; len(m.nodes) > len(f.room) {
			f.codes = make([]farewellCode, len(m.nodes))
		}
		f.codes = f.codes[:len(m.nodes)]
	}
	f.debt, f.sent, f.pending, f.home = s.debt(), now, len(m.nodes), -1
	s.mu.Lock()
	defer s.mu.Unlock()
	f.until, f.valid, f.held = now.Add(s.longest), s.until, s.holds
	return f
}

func (m *Manager) sendReleases(s *lease, now time.Time, behind heirs) *farewell {
	f := m.newFarewell(s, now)
	if behind.waiting {
		f.home = m.home(s.names, now).index
	}
	m.makeRelease(&f.request, f.debt, "", false)
	for i, n := range m.nodes {
		req := &f.request
		switch {
		case i == f.home:
			req = n.releaseRequest(f.debt, behind.requeue)
		case n.many:
			req = n.releaseRequest(f.debt, "")
		}
		n.send(now, wire.Call{Req: req, To: f, Force: true, Wait: len(m.nodes) == 1})
	}
	return f
}

// Receive implements wire.Receiver.
func (f *farewell) Receive(index int, r wire.Reply) {
	f.m.nodes[index].settle(f.debt, f.until, r)
	f.mu.Lock()
	f.count(index, r)
	last := f.left && f.pending == 0
	f.mu.Unlock()
	if last {
		f.retire()
	}
}

// count adds an answer. mu is held.
func (f *farewell) count(index int, r wire.Reply) {
	freed := r.Err == nil && (r.Int > 0 || r.Repeated && f.wasOurs(index))
	f.codes[index] = farewellCode{told: true, freed: freed, code: r.Int, err: r.Err}
	f.pending--
	if freed {
		f.released++
	}
	if f.released >= f.need || f.pending == 0 {
		f.done.raise()
	}
}

// decided reports whether the answers still to come matter to nobody. mu is held.
func (f *farewell) decided() bool {
	return f.released >= f.need && (f.home < 0 || f.codes[f.home].told) || f.pending == 0
}

// wasOurs reports whether a release that finds our key gone has only lost its
// first answer: nothing but that release can have taken the key away, or let
// somebody else have it, while the lease is valid.
func (f *farewell) wasOurs(index int) bool {
	return f.held.has(index) && time.Now().Before(f.valid)
}

// Repeat implements wire.Repeater.
func (f *farewell) Repeat(_ int, sent *wire.Request) *wire.Request { return sent }

// await returns when the answers that matter are there or NodeTimeout is over; soon
// after the end of ctx; and a quarter of NodeTimeout after a majority has confirmed:
// whether home has woken another process, the next in line can do without, as it
// meets that process in Redis then.
func (f *farewell) await(ctx context.Context) {
	if f.settled() {
		return
	}
	patience := f.m.cfg.NodeTimeout
	f.m.watchdog.begin(&f.wait, f.sent.Add(patience))
	defer f.forget()
	ended, late := ctx.Done(), (<-chan time.Time)(nil)
	for !f.overdue() {
		switch f.done.await(ended, late) {
		case bySignal:
			if f.settled() {
				return
			}
			if late == nil && f.awaitsHome() {
				timer := f.m.timers.get(max(patience/4, lastRound))
				defer f.m.timers.put(timer)
				late = timer.C
			}
		case byEnd:
			timer := f.m.timers.get(min(patience, lastRound))
			defer f.m.timers.put(timer)
			ended, late = nil, timer.C
		case byTimer:
			return
		}
	}
}

// awaitsHome reports whether a majority has confirmed, and only home is missing.
func (f *farewell) awaitsHome() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.released >= f.need && !f.decided()
}

func (f *farewell) settled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.decided()
}

// leave says that nobody waits any more.
func (f *farewell) leave() {
	f.mu.Lock()
	f.part()
}

// part is leave for who holds mu, which it releases.
func (f *farewell) part() {
	f.left = true
	last := f.pending == 0
	f.mu.Unlock()
	if last {
		f.retire()
	}
}

// retire keeps the farewell for another release: no transport has it, or its
// request, any more.
func (f *farewell) retire() {
	clear(f.codes)
	f.released, f.left = 0, false
	f.done.lower()
	f.m.farewells.Put(f)
}

// conclude is leave that says whose turn it is, and how the release went.
func (f *farewell) conclude(s *lease, expired bool, behind heirs) (next turn, err error) {
	f.mu.Lock()
	next, err = f.succession(behind), f.verdict(s, expired)
	f.part()
	return next, err
}

// succession is the turn of the next in line. Where another process was woken it
// comes after that one. mu is held.
func (f *farewell) succession(behind heirs) turn {
	woken := f.home >= 0 && f.codes[f.home].answered() && f.codes[f.home].code == 1
	return turn{stand: true, queued: woken && behind.requeue != "", yields: woken && behind.requeue == ""}
}

// verdict reads the answers. mu is held.
//
//	released by a majority                         nil
//	a majority can no longer have been ours        ErrExpired, ErrNotOwner when another's was seen
//	confirmed gone by a majority                   nil
//	otherwise                                      ErrNotReleased
func (f *farewell) verdict(s *lease, expired bool) error {
	if f.released >= f.need && !expired {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ours, confirmed, others int
	for i := range f.codes {
		switch c := &f.codes[i]; {
		case !c.answered():
			if s.holds.has(i) {
				ours++
			}
		case c.freed:
			ours++
			confirmed++
		default:
			confirmed++
			if c.code < 0 {
				others++
			}
		}
	}
	switch {
	case expired || ours < f.need:
		if others > 0 {
			return lockError("release", s.key, ErrExpired, ErrNotOwner)
		}
		return lockError("release", s.key, ErrExpired)
	case confirmed >= f.need:
		return nil
	}
	return lockError("release", s.key, ErrNotReleased, &QuorumError{Need: f.need, Got: confirmed, Nodes: f.unanswered()})
}

// unanswered is what is known of the nodes that did not answer. mu is held.
func (f *farewell) unanswered() (nodes []NodeError) {
	for i := range f.codes {
		c := &f.codes[i]
		if c.answered() {
			continue
		}
		err := c.err
		if err == nil {
			err = &timeoutAfter{time.Since(f.sent)}
		}
		nodes = append(nodes, NodeError{f.m.nodes[i].name, err})
	}
	return nodes
}
