package core

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Fencing tokens (Kleppmann 2016; the sequencers of Chubby, Burrows 2006).
//
// Every grant takes a block of tokens, one for each turn of a local hand-over.
// The client proposes a block from its clock; a node accepts it if it lies
// beyond its counter, which then moves to the block's end, and gives the next
// free block otherwise. The grant's token is the highest of the granting
// majority. Nodes that gave less are raised to it while the lock is still ours,
// until a majority has it: the next owner's majority shares a node with ours,
// and that node was released or expired after it was raised, so it grants more.
// Raising after the lock has ended would let two owners share a token.
//
// The clock carries no safety: it only makes nodes agree at once, and lifts a
// node that came back empty beyond everything it had forgotten as long as clocks
// are not set back. Nor does it matter that a refused proposal moves the counter.
//
// Without contention no script is needed: SET NX, and behind it on the same
// connection ZADD XX GT CH, which moves an existing counter forward or tells
// that it did not. The script settles the rest: a counter that is missing, because
// nobody needed it yet or because data was lost, or one that is ahead.

// turns is how many local callers one grant may serve, see handover.go. Blocks
// are aligned, so two of them overlap only if they are the same.
const turns = 16

// propose returns a block beyond every other one this Manager proposed or saw.
func (m *Manager) propose(now time.Time) uint64 {
	t := uint64(now.UnixMicro()) &^ (turns - 1) //nolint:gosec // after 1970
	for {
		last := m.proposed.Load()
		next := max(t, last+turns)
		if m.proposed.CompareAndSwap(last, next) {
			return next
		}
	}
}

// observeToken keeps proposals ahead of other clients' clocks.
func (m *Manager) observeToken(token uint64) {
	for {
		last := m.proposed.Load()
		if token <= last || m.proposed.CompareAndSwap(last, token) {
			return
		}
	}
}

// grants are what a round was granted so far.
type grants struct {
	won    bool
	token  uint64  // the highest granted
	level  int     // how many nodes gave it
	behind []*node // those that granted with a lower one
}

func (r *round) grants() (g grants) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.votes {
		if v := &r.votes[i]; v.answer == granted {
			g.token = max(g.token, v.token)
		}
	}
	for i := range r.votes {
		switch v := &r.votes[i]; {
		case v.answer != granted:
		case v.token == g.token:
			g.level++
		default:
			g.behind = append(g.behind, r.m.nodes[i])
		}
	}
	g.won = decide(len(r.votes), r.yes, r.no) == won
	return g
}

// fence settles the token of a round that was won. It reports false when too
// few nodes could be raised while the lock was ours.
func (r *round) fence(ctx context.Context, g grants) bool {
	r.lease.token = g.token
	r.m.observeToken(g.token)
	missing := quorumOf(len(r.m.nodes)) - g.level
	if missing <= 0 {
		return true
	}
	return r.m.raise(ctx, r.lease, g.behind, missing, r.end)
}

func (m *Manager) raise(ctx context.Context, l *lease, behind []*node, missing int, end time.Time) bool {
	req := wire.NewRequest(raiseScript, 2, l.names.lock, l.names.fence,
		l.owner, strconv.FormatUint(l.token, 10), strconv.FormatUint(l.token+turns-1, 10))
	p := &poll{m: m, wait: wait{done: make(signal, 1)}, want: missing, of: len(behind)}
	now := time.Now()
	for _, n := range behind {
		n.send(now, wire.Call{Req: req, Tail: wire.Tail{Arg: n.tail(n.ballot.Load()).Arg}, To: p})
	}
	m.awaitAnswers(ctx, &p.wait, earlier(now.Add(m.cfg.NodeTimeout), end), p.settled)
	return p.won()
}

// poll counts nodes that confirm with a 1.
type poll struct {
	m        *Manager
	wait     // of who asks them
	want, of int

	mu      sync.Mutex
	yes, no int // guarded by mu
}

// Receive implements wire.Receiver.
func (p *poll) Receive(_ int, r wire.Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Err == nil && r.Int == 1 {
		p.yes++
	} else {
		p.no++
	}
	if p.decided() {
		p.done.raise()
	}
}

// Repeat implements wire.Repeater: a raise changes nothing where it is done.
func (p *poll) Repeat(_ int, sent *wire.Request) *wire.Request { return sent }

// decided reports whether enough have confirmed, or no longer can. mu is held.
func (p *poll) decided() bool { return p.yes >= p.want || p.of-p.no < p.want }

func (p *poll) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decided() || p.m.isClosed()
}

func (p *poll) won() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.yes >= p.want
}
