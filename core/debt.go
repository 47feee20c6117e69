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
	lock, queue, owner string
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
	if len(n.debts) >= maxDebts {
		n.dropExpiredDebts(time.Now())
	}
	if len(n.debts) < maxDebts {
		n.debts[d] = until
		if n.debtsEnd.IsZero() || until.Before(n.debtsEnd) {
			n.debtsEnd = until
		}
	}
	n.owing.Store(int32(len(n.debts))) //nolint:gosec // at most maxDebts
}

// dropExpiredDebts makes room, and looks at every debt only when one of them has
// ended since. debtMu is held.
func (n *node) dropExpiredDebts(now time.Time) {
	if now.Before(n.debtsEnd) {
		return
	}
	n.debtsEnd = time.Time{}
	for d, until := range n.debts {
		switch {
		case !now.Before(until):
			delete(n.debts, d)
		case n.debtsEnd.IsZero() || until.Before(n.debtsEnd):
			n.debtsEnd = until
		}
	}
}

// maxPayments is how many debts are paid at once: what a node that comes back
// is owed must not fill its stream.
const maxPayments = 256

// payDebts sends releases that are owed, and more when these are answered; those
// that fail are owed again.
func (n *node) payDebts(now time.Time) {
	for d, until := range n.dueDebts(now) {
		n.repay(now, &repayment{n: n, debt: d, until: until, owed: true})
	}
}

// dueDebts takes debts off the books, unless others are being paid.
func (n *node) dueDebts(now time.Time) map[debt]time.Time {
	n.debtMu.Lock()
	defer n.debtMu.Unlock()
	if n.paying > 0 {
		return nil
	}
	due := map[debt]time.Time{}
	for d, until := range n.debts {
		if len(due) == maxPayments {
			break
		}
		if now.Before(until) {
			due[d] = until
		}
		delete(n.debts, d)
	}
	n.paying = len(due)
	n.owing.Store(int32(len(n.debts))) //nolint:gosec // at most maxDebts
	return due
}

// settle takes the answer to one release: what was not confirmed stays owed.
func (n *node) settle(d debt, until time.Time, r wire.Reply) {
	if r.Err != nil {
		n.owe(d, until)
		n.failed(r.Err)
		return
	}
	n.answered()
}

// repayment is a release that nobody waits for.
type repayment struct {
	n     *node
	debt  debt
	until time.Time
	owed  bool // counted in the node's paying
}

// repay sends the release with force: it must reach a node that is being left alone
// too, since the acquire may be waiting there.
func (n *node) repay(now time.Time, p *repayment) {
	n.send(now, wire.Call{Req: n.releaseRequest(p.debt, ""), To: p, Force: true})
}

// Receive implements wire.Receiver.
func (p *repayment) Receive(_ int, r wire.Reply) {
	if p.owed {
		p.n.debtMu.Lock()
		p.n.paying--
		p.n.debtMu.Unlock()
	}
	p.n.settle(p.debt, p.until, r)
}

// releaseRequest also queues this process again, under the name requeue if that is
// not empty.
func (n *node) releaseRequest(d debt, requeue string) *wire.Request {
	r := new(wire.Request)
	n.m.makeRelease(r, d, requeue, n.many)
	return r
}

// makeRelease makes r the request.
func (m *Manager) makeRelease(r *wire.Request, d debt, requeue string, uncountable bool) {
	count := ""
	if uncountable {
		count = "any"
	}
	r.Run(releaseScript, 2, d.lock, d.queue, d.owner, m.channelBase, count, requeue)
}
