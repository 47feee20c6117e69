package core

import "time"

// A lease goes from one local caller to the next without leaving the process:
// each turn has a token of its own from the block that the grant took, its own
// context, and what is left of the lease. The turns end, so that other
// processes get theirs, when the block is used up, when the lease has been in
// the process for maxTenure, or when too little of it is left for the next.
const maxTenure = 100 * time.Millisecond

// heirs are the local callers behind a lock that has to be given back in Redis.
type heirs struct {
	waiting bool
	requeue string // this process' name, where the release is to queue it again: they can be woken
}

// handOver gives l's lease to the next in line, if there is one who can take it.
func (m *Manager) handOver(l *Lock, now time.Time) (handed bool, behind heirs) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := l.gate
	w := g.head
	if w == nil {
		return false, behind
	}
	behind.waiting = true
	if g.heard != nil {
		behind.requeue = m.id
	}
	if g.holder != l || g.turn+1 >= turns || now.Sub(g.opened) > maxTenure || m.closed || !l.lease.suits(&w.set, now) {
		return false, behind
	}
	g.remove(w)
	g.turn++
	next := m.newLock(w, l.lease, g, l.lease.token+uint64(g.turn), now) //nolint:gosec // below turns
	g.holder = next
	if w.set.AutoRenew {
		m.keeper.watch(l.lease, now)
	}
	w.turns <- turn{lock: next}
	return true, heirs{}
}

// suits reports whether what is left of the lease will do for the next caller:
// at least three quarters of the TTL it asked for.
func (l *lease) suits(set *settings, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.over && l.metadata == set.Metadata && l.until.Sub(now) >= set.TTL/4*3
}
