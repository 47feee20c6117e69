package core

import (
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// debt is a release that one node has not confirmed. The release stands behind
// its acquire on the connection where both were sent; when that connection
// breaks, nobody knows which of them the server executed, so the release is
// owed until the node confirms it or the key has ended by itself.
type debt struct {
	lock, queue string
	owner       string
}

// maxDebts bounds what an unreachable node can cost. Beyond it keys end by
// their TTL.
const maxDebts = 1 << 16

func (n *node) owe(d debt, until time.Time) {
	n.debtMu.Lock()
	defer n.debtMu.Unlock()
	if n.debts == nil {
		n.debts = map[debt]time.Time{}
	}
	if len(n.debts) < maxDebts {
		n.debts[d] = until
	}
	n.owing.Store(int32(len(n.debts))) //nolint:gosec // at most maxDebts
}

// payDebts sends every release owed; those that fail are owed again.
func (n *node) payDebts(now time.Time) {
	n.debtMu.Lock()
	due := n.debts
	n.debts = nil
	n.owing.Store(0)
	n.debtMu.Unlock()
	for d, until := range due {
		if now.Before(until) {
			n.m.sendRelease(n, now, d, until, "", nil)
		}
	}
}

// settleRelease keeps a release that was not confirmed.
type settleRelease struct {
	n     *node
	d     debt
	until time.Time
	to    wire.Receiver // told as well, or nil
}

// Receive implements wire.Receiver.
func (s *settleRelease) Receive(index int, r wire.Reply) {
	switch {
	case r.Err != nil:
		s.n.owe(s.d, s.until)
		s.n.failed(r.Err)
	default:
		s.n.answered()
	}
	if s.to != nil {
		s.to.Receive(index, r)
	}
}

// sendRelease sends one release, with force: it must reach a node that is being
// left alone too, since the acquire may be waiting there.
func (m *Manager) sendRelease(n *node, now time.Time, d debt, until time.Time, requeue string, to wire.Receiver) {
	n.send(now, wire.Call{
		Req:   m.releaseRequest(d, requeue, n.many),
		To:    &settleRelease{n: n, d: d, until: until, to: to},
		Force: true,
	})
}

func (m *Manager) releaseRequest(d debt, requeue string, uncountable bool) *wire.Request {
	count := ""
	if uncountable {
		count = "any"
	}
	return &wire.Request{
		Script: releaseScript,
		Keys:   []string{d.lock, d.queue},
		Args:   []string{d.owner, m.channelBase, count, requeue},
	}
}
