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
	s := l.lease
	s.expireAt(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.lost
}

// giveBack tells Redis of the end of a lease, and what became of it.
func (m *Manager) giveBack(ctx context.Context, l *Lock, now time.Time, expired bool, behind heirs) error {
	r := m.sendReleases(l.lease, now, behind)
	r.wait(ctx, m)
	m.vacate(l.gate, l, r.succession(behind))
	return r.verdict(m, l.lease, expired)
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

// farewell counts the answers to one release.
type farewell struct {
	m     *Manager
	debt  debt
	sent  time.Time
	until time.Time // when the key has ended by itself
	valid time.Time // until when the lease is ours on the nodes in held
	held  nodeSet   // that held the lease when the release was sent
	done  signal
	need  int
	home  int // index of the node whose answer is waited for too; -1: none

	mu       sync.Mutex
	codes    []farewellCode // guarded by mu
	released int            // guarded by mu
	pending  int            // guarded by mu
	over     bool           // nobody waits any more. Guarded by mu
	room     [5]farewellCode
}

type farewellCode struct {
	told     bool // answered or failed
	answered bool
	freed    bool // the release, and nothing else, took our key away
	code     int64
	err      error
}

func (m *Manager) sendReleases(s *lease, now time.Time, behind heirs) *farewell {
	f := &farewell{
		m: m, debt: s.debt(), sent: now, done: m.signals.get(),
		need: quorumOf(len(m.nodes)), pending: len(m.nodes), home: -1,
	}
	s.mu.Lock()
	f.until, f.valid, f.held = now.Add(s.longest), s.until, s.holds
	s.mu.Unlock()
	f.codes = f.room[:0]
	if len(m.nodes) > len(f.room) {
		f.codes = make([]farewellCode, 0, len(m.nodes))
	}
	f.codes = f.codes[:len(m.nodes)]
	if behind.waiting {
		f.home = m.home(s.names, now).index
	}
	plain := m.releaseRequest(f.debt, "", false)
	for i, n := range m.nodes {
		req := plain
		switch {
		case i == f.home:
			req = m.releaseRequest(f.debt, behind.requeue, n.many)
		case n.many:
			req = m.releaseRequest(f.debt, "", true)
		}
		n.send(now, wire.Call{Req: req, To: f, Force: true, Wait: len(m.nodes) == 1})
	}
	return f
}

// Receive implements wire.Receiver.
func (f *farewell) Receive(index int, r wire.Reply) {
	f.m.nodes[index].settle(f.debt, f.until, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	freed := r.Err == nil && (r.Int > 0 || r.Repeated && f.wasOurs(index))
	f.codes[index] = farewellCode{told: true, answered: r.Err == nil, freed: freed, code: r.Int, err: r.Err}
	f.pending--
	if freed {
		f.released++
	}
	if f.released >= f.need && (f.home < 0 || f.codes[f.home].told) || f.pending == 0 {
		if !f.over {
			f.done.raise()
		}
	}
}

// wasOurs reports whether a release that finds our key gone has only lost its
// first answer: nothing but that release can have taken the key away, or let
// somebody else have it, while the lease is valid.
func (f *farewell) wasOurs(index int) bool {
	return f.held.has(index) && time.Now().Before(f.valid)
}

// Repeat implements wire.Repeater.
func (f *farewell) Repeat(_ int, sent *wire.Request) *wire.Request { return sent }

func (f *farewell) wait(ctx context.Context, m *Manager) {
	defer f.leave()
	select {
	case <-f.done:
		return
	default:
	}
	timer := m.timers.get(m.cfg.NodeTimeout)
	defer m.timers.put(timer)
	select {
	case <-f.done:
		return
	case <-timer.C:
		return
	case <-ctx.Done():
	}
	timer.Reset(min(m.cfg.NodeTimeout, lastRound))
	select {
	case <-f.done:
	case <-timer.C:
	}
}

// leave says that nobody waits any more.
func (f *farewell) leave() {
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.m.signals.put(f.done)
}

// succession is the turn of the next in line. Where another process was woken it
// comes after that one.
func (f *farewell) succession(behind heirs) turn {
	f.mu.Lock()
	defer f.mu.Unlock()
	woken := f.home >= 0 && f.codes[f.home].answered && f.codes[f.home].code == 1
	return turn{stand: true, queued: woken && behind.requeue != "", yields: woken && behind.requeue == ""}
}

// verdict reads the answers.
//
//	released by a majority                         nil
//	a majority can no longer have been ours        ErrExpired, ErrNotOwner when another's was seen
//	confirmed gone by a majority                   nil
//	otherwise                                      ErrNotReleased
func (f *farewell) verdict(m *Manager, s *lease, expired bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.released >= f.need && !expired {
		return nil
	}
	var ours, confirmed, others int
	for i := range f.codes {
		switch c := &f.codes[i]; {
		case !c.answered:
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
	for i, c := range f.codes {
		if c.answered {
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
