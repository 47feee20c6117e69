package core

import (
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// census asks the other nodes for the longest lease in use before a node that has
// lost data may vote. Its own marker may have been written by a client that knows
// of short leases only, or come out of an old snapshot; and we may have met the
// others before somebody used a longer one. A node that does not answer is asked
// again when it is met, and lengthens the quarantine then.
type census struct {
	n    *node   // that has lost data
	b    *ballot // its own while the census is taken
	left atomic.Int32
}

func (m *Manager) takeCensus(n *node, b *ballot) {
	c := &census{n: n, b: b}
	c.left.Store(int32(len(m.nodes))) //nolint:gosec // a few
	now := time.Now()
	for _, other := range m.nodes {
		if other == n || other.many || other.ballot.Load() == nil || other.cause.Load() != nil {
			c.count()
			continue
		}
		other.send(now, wire.Call{Req: m.meetRequest(facts{uptime: -1}, "", false), To: c})
	}
}

// Receive implements wire.Receiver.
func (c *census) Receive(_ int, r wire.Reply) {
	if r.Err == nil && len(r.Items) == 5 {
		c.n.m.learn(r)
	}
	c.count()
}

// count ends the census with its last answer. By then the node may have been met
// anew, or be known as another's twin.
func (c *census) count() {
	if c.left.Add(-1) > 0 {
		return
	}
	m, b := c.n.m, c.b
	for {
		longest := m.longest.Load()
		next := c.b.after(time.Duration(longest))
		if !c.n.ballot.CompareAndSwap(b, next) {
			return
		}
		if b = next; longest == m.longest.Load() { // learn may have passed the node by meanwhile
			break
		}
	}
	m.noteNode()
}
