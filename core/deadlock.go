package core

import "time"

// Deadlocks within a process. A Lock's context carries the lock, so a caller
// that waits under it is known to hold it: key → holder → keys its callers wait
// for → their holders is the wait-for graph, and a caller whose wait would close
// a cycle is refused instead. Locks held by other processes are not seen; their
// cycles end with the wait.

// heldBy reports whether a context that runs under chain already holds the key.
func (m *Manager) heldBy(chain *Lock, key string) bool {
	for l := chain; l != nil; l = l.parent {
		if l.m == m && l.lease.key == key && l.lasts() {
			return true
		}
	}
	return false
}

// lasts reports whether the lock is held still. The end of its context does not
// tell: that may be the end of its caller.
func (l *Lock) lasts() bool { return time.Now().Before(l.lease.validFor(l)) }

// want records that the locks of w's context wait for g, unless that closes a
// cycle. mu is held.
func (m *Manager) want(w *waiter, g *gate) error {
	if w.chain == nil {
		return nil
	}
	if m.reaches(g.holder, w.chain, map[*Lock]bool{}) {
		return ErrDeadlock
	}
	for l := w.chain; l != nil; l = l.parent {
		if l.wants == nil {
			l.wants = map[string]int{}
		}
		l.wants[g.key]++
	}
	return nil
}

// unwant takes back what want recorded, if anything. mu is held.
func (m *Manager) unwant(w *waiter, g *gate) {
	for l := w.chain; l != nil; l = l.parent {
		if l.wants[g.key]--; l.wants[g.key] <= 0 {
			delete(l.wants, g.key)
		}
	}
}

// reaches reports whether holder, or anybody it waits for, is in chain. A holder whose
// lock is over is about to leave, so nobody waits for it for long. mu is held.
func (m *Manager) reaches(holder, chain *Lock, seen map[*Lock]bool) bool {
	if holder == nil || seen[holder] || !holder.lasts() {
		return false
	}
	seen[holder] = true
	for l := chain; l != nil; l = l.parent {
		if l == holder {
			return true
		}
	}
	for key := range holder.wants {
		if g := m.gates[key]; g != nil && m.reaches(g.holder, chain, seen) {
			return true
		}
	}
	return false
}
