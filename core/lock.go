package core

import (
	"context"
	"sync"
	"time"
)

// Lock is a granted lock. It is safe for concurrent use, and every method may
// be called on a nil *Lock, which holds nothing.
type Lock struct {
	m      *Manager
	lease  *lease
	gate   *gate
	token  uint64
	since  time.Time
	parent *Lock // the lock the acquirer's context ran under

	ctx lockContext

	ended time.Time // when the lease left this lock; zero while it has it. Guarded by the lease's mu
	lost  bool      // that was by loss. Guarded by the lease's mu

	release sync.Once
	err     error // of the release. Written in release's function

	wants map[string]int // keys that callers under this lock wait for. Guarded by the Manager's mu
}

// Key is the key as it was given to Acquire.
func (l *Lock) Key() string {
	if l == nil {
		return ""
	}
	return l.lease.key
}

// Owner is unique to the grant in Redis. Locks handed over within a process
// share their grant's owner and differ in their fencing tokens.
func (l *Lock) Owner() string {
	if l == nil {
		return ""
	}
	return l.lease.owner
}

// FencingToken is greater than that of every earlier lock of the same key. Give
// it to the resource that the lock protects, which must refuse a token lower
// than one it has seen: that is the only protection against a holder that was
// suspended and does not know yet that it lost the lock.
func (l *Lock) FencingToken() uint64 {
	if l == nil {
		return 0
	}
	return l.token
}

// Until is how long the lock can be relied upon if it is not renewed: its lease
// less the allowance for clock drift. It is in the past once the lock is over.
func (l *Lock) Until() time.Time {
	if l == nil {
		return time.Time{}
	}
	return l.lease.validFor(l)
}

// Info describes the lock as this process knows it, without asking Redis.
func (l *Lock) Info() LockInfo {
	if l == nil {
		return LockInfo{}
	}
	s := l.lease
	s.mu.Lock()
	defer s.mu.Unlock()
	info := LockInfo{
		Key: s.key, Owner: s.owner, Metadata: s.metadata, AcquiredAt: l.since,
		ExpiresAt: s.expires, TTL: max(time.Until(s.expires), 0), FencingToken: l.token,
	}
	if !l.ended.IsZero() {
		info.ExpiresAt, info.TTL = l.ended, 0
		return info
	}
	for i, n := range l.m.nodes {
		if s.holds.has(i) {
			info.Nodes = append(info.Nodes, n.name)
		}
	}
	return info
}

// Context is a child of the context given to Acquire that carries the lock, see
// [FromContext]. It is cancelled with cause [ErrLost] before another owner can
// be granted the key, and without a cause by Release. Its Err looks at the
// clock, so a process that was suspended past its lease sees the loss before
// any timer had a chance to run.
func (l *Lock) Context() context.Context {
	if l == nil {
		return context.Background()
	}
	return &l.ctx
}

// newLock begins a turn on a lease for a caller at g.
func (m *Manager) newLock(w *waiter, s *lease, g *gate, token uint64, now time.Time) *Lock {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.first
	if s.lock != nil {
		l = new(Lock)
	}
	l.m, l.lease, l.gate, l.token, l.since, l.parent = m, s, g, token, now, w.chain
	l.ctx.lock, l.ctx.parent = l, w.ctx
	s.leave(now)
	s.lock, s.auto, s.renewal = l, w.set.AutoRenew, w.set.TTL
	s.stop = now.Add(w.set.MaxHold)
	if s.over { // lost on the way from one turn to the next
		s.leave(now)
		l.lost = true
		l.ctx.cancel(ErrLost)
	}
	return l
}
