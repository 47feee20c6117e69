package core

import (
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// topUpDelay lets short locks go without a topping up that would come too late.
const topUpDelay = 250 * time.Millisecond

// topUpAll asks the nodes that do not hold a lease to hold it. The majority that
// granted or last renewed it is within its validity.
func (m *Manager) topUpAll(now time.Time, l *lease) {
	for _, n := range m.nodes {
		l.mu.Lock()
		missing := !l.holds.has(n.index)
		l.mu.Unlock()
		if missing {
			l.topUp(now, n)
		}
	}
}

// topUp asks a node that does not hold the lease to hold it for what is left,
// as the same owner. It must only be called while a majority is known to hold
// it. mu keeps it in front of the release.
func (l *lease) topUp(now time.Time, n *node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.expires.Sub(now)
	if l.over || left < 10*time.Millisecond {
		return
	}
	b := n.ballot.Load()
	if b.refusal(now) != nil {
		return // in quarantine it may still have votes out that it has forgotten
	}
	n.send(now, wire.Call{
		Req:       l.request(left, l.token, ""),
		Tail:      n.tail(b),
		To:        &topUp{l: l, n: n},
		Abandoned: func(int) bool { return l.gone.Load() || n.voids(b) },
	})
}

// topUp receives the answer of a node asked to join.
type topUp struct {
	l *lease
	n *node
}

// Receive implements wire.Receiver. It runs on the transport's goroutine or,
// when the call could not be sent, under the lease's mutex, so it only takes
// that in the first case.
func (t *topUp) Receive(_ int, r wire.Reply) {
	if r.Err != nil {
		t.n.errors.Add(1)
		return
	}
	switch {
	case r.Int > 0:
		t.l.joined(only(t.n))
	case r.Int == 0:
		t.n.m.forgot(t.n)
	}
}
