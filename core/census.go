package core

import (
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// census asks the other nodes for the longest lease in use before a node that has
// lost data may vote. Its own marker may have been written by a client that knows
// of short leases only, or come out of an old snapshot; and we may have met the
// others before somebody used a longer one.
//
// A lease was told to the majority that granted it, ahead of the grant. The node
// is one of that majority at most, so among as many of the others as the census
// needs there is one that knows. While fewer answer, the node does not vote. Who
// answers later lengthens the quarantine then.
type census struct {
	n *node // that has lost data

	mu    sync.Mutex
	b     *ballot // of n while the census is taken. Guarded by mu
	heard nodeSet // that have answered. Guarded by mu
	asked int     // that have not yet. Guarded by mu
}

// censusOf is how many of n nodes must answer beside the one that has lost data:
// so many that they share a node with the rest of every majority that it was in.
func censusOf(n int) int { return min(n-quorumOf(n)+1, n-1) }

func (m *Manager) takeCensus(n *node, b *ballot) {
	c := &census{n: n, b: b}
	for _, other := range m.nodes {
		if other.many { // has no marker to be asked for
			c.heard.add(other.index)
		}
	}
	c.ask()
}

// ask asks everybody who is there.
func (c *census) ask() {
	m := c.n.m
	var there []*node
	c.mu.Lock()
	for _, other := range m.nodes {
		if other != c.n && !other.many && other.ballot.Load() != nil && other.cause.Load() == nil {
			there = append(there, other)
		}
	}
	c.asked = len(there) + 1
	c.mu.Unlock()
	now := time.Now()
	for _, other := range there {
		other.send(now, wire.Call{Req: m.markerRequest(), To: c})
	}
	c.answered()
}

// Receive implements wire.Receiver.
func (c *census) Receive(index int, r wire.Reply) {
	if r.Err == nil && len(r.Items) == meetItems {
		c.n.m.learn(r)
		c.mu.Lock()
		c.heard.add(index)
		c.mu.Unlock()
	}
	c.answered()
}

// answered ends the census with the last answer that it needs.
func (c *census) answered() {
	m := c.n.m
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked--
	switch {
	case c.b == nil:
	case c.heard.count() >= censusOf(len(m.nodes)):
		c.conclude()
	case c.asked == 0:
		c.repeat()
	}
}

// conclude begins the quarantine. The node may have been met anew by now, or be
// known as another's twin. mu is held.
func (c *census) conclude() {
	m, b := c.n.m, c.b
	c.b = nil
	for {
		longest := m.longest.Load()
		next := b.after(time.Duration(longest))
		if !c.n.ballot.CompareAndSwap(b, next) {
			return
		}
		if b = next; longest == m.longest.Load() { // learn may have passed the node by meanwhile
			break
		}
	}
	c.n.attestLater(b)
	c.n.review()
	m.progress.raise()
}

// repeat has the node met anew, as long as it is for the others that it does not
// vote: they may be back then, or another client may have heard them. mu is held.
func (c *census) repeat() {
	b := c.b
	c.b = nil
	if c.n.ballot.CompareAndSwap(b, &ballot{id: b.id, since: b.since, lost: b.lost, why: errUnheard}) {
		c.n.meetLater(meetAgain)
		c.n.review()
		c.n.m.progress.raise()
	}
}
