package core

import (
	"errors"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// learn takes a marker's word on the longest TTL in use. When we did not know of
// it, neither may the other nodes, and quarantines were too short.
func (m *Manager) learn(r wire.Reply) {
	ttl := time.Duration(r.Items[3].Int) * time.Millisecond
	if int64(ttl) <= m.longest.Load() {
		return
	}
	m.longer(ttl)
	for _, n := range m.nodes {
		n.tell(time.Now(), ttl)
		if b := n.ballot.Load(); b != nil && !b.since.IsZero() && !b.from.IsZero() {
			n.ballot.CompareAndSwap(b, b.after(ttl))
		}
	}
}

// after is the ballot of a node in quarantine until longest has passed.
func (b *ballot) after(longest time.Duration) *ballot {
	return &ballot{id: b.id, since: b.since, lost: b.lost, from: b.since.Add(longest)}
}

// longer raises the longest TTL known.
func (m *Manager) longer(ttl time.Duration) time.Duration {
	for {
		known := m.longest.Load()
		if int64(ttl) <= known {
			return time.Duration(known)
		}
		if m.longest.CompareAndSwap(known, int64(ttl)) {
			return ttl
		}
	}
}

// tell has the node note a lease longer than those that it is known to know of, in
// front of the command that asks for it.
func (n *node) tell(now time.Time, ttl time.Duration) {
	if !n.knows(ttl) {
		n.send(now, wire.Call{Req: n.m.markerRequest(), To: noting{n}, Force: true})
	}
}

// knows reports whether the node's marker was seen to cover the lease. A grant or a
// renewal counts only then: the majority that confirmed a lease must know how long
// it is, or the others could not tell for how long one of them that has forgotten it
// must not vote. The TTL on the marker only rises: a client tells each TTL once,
// and relies on it from then on, the more so as clients of earlier versions do. To
// let it fall, each lease had to be told anew for as long as it is used; and when
// the last of them is over, only the clocks of the servers could say, which can
// be set.
func (n *node) knows(ttl time.Duration) bool { return n.many || ttl.Milliseconds() <= n.told.Load() }

var errUntold = errors.New("does not know of so long a lease: it could not be told, or its answer was lost")

// noting receives the marker's answer to a longer TTL.
type noting struct{ n *node }

// Receive implements wire.Receiver.
func (v noting) Receive(_ int, r wire.Reply) {
	if r.Err == nil && len(r.Items) == meetItems && r.Items[0].Text != "" {
		v.n.told.Store(r.Items[3].Int)
	}
}
