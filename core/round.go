package core

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// answer is what one node said in a round.
type answer uint8

const (
	unasked  answer = iota
	asked           // no answer yet
	granted         // the node holds our lock
	refused         // the node holds somebody else's
	failed          // it cannot hold ours: not sent, or refused with an error
	unknown         // sent, no usable answer: it may hold ours
	amnesiac        // it answered without the data we know it by
	claimed         // the answer is that to a claim
)

// round is one attempt to take one lock on a majority. Rounds that were won are
// used again, see retire.
type round struct {
	m      *Manager
	gaveUp func(node int) bool // abandoned, made once for all nodes
	wait                       // of its caller, until the asked nodes have decided

	lease   *lease
	start   time.Time
	end     time.Time // of its caller's patience, whatever the round is waiting for
	claim   wire.Request
	claimed bool // claim is that of the lease

	mu       sync.Mutex
	votes    []vote      // guarded by mu
	yes, no  int         // guarded by mu
	refusals int         // of no. Guarded by mu
	pending  int         // asked and not answered. Guarded by mu
	over     bool        // decided or given up: answers are late from here on. Guarded by mu
	success  bool        // guarded by mu
	ended    atomic.Bool // over, for those that hold a transport's mutex
	lost     atomic.Bool // over without success, likewise
	room     [5]vote

	// What the nodes were asked on the word of. Written before a node is asked.
	ballots    []*ballot
	ballotRoom [5]*ballot
}

type vote struct {
	answer answer
	token  uint64
	left   time.Duration // of the holder's lease, when refused
	err    error
}

func (m *Manager) newRound(l *lease, start, end time.Time) *round {
	r, again := m.rounds.Get().(*round)
	if !again {
		r = m.firstRound()
	}
	r.lease, r.start, r.end = l, start, end
	return r
}

func (m *Manager) firstRound() *round {
	r := &round{m: m, wait: wait{done: make(signal, 1)}}
	if len(m.nodes) <= len(r.room) {
		r.votes, r.ballots = r.room[:len(m.nodes)], r.ballotRoom[:len(m.nodes)]
	} else {
		r.votes, r.ballots = make([]vote, len(m.nodes)), make([]*ballot, len(m.nodes))
	}
	r.gaveUp = r.abandoned
	return r
}

// retire keeps a round for another attempt. Its caller must be through with it, and
// all that it asked have been answered: no transport has it, or its claim, any more.
func (r *round) retire() {
	r.lease, r.claimed = nil, false
	clear(r.votes)
	clear(r.ballots)
	r.yes, r.no, r.refusals, r.over, r.success = 0, 0, 0, false, false
	r.ended.Store(false)
	r.done.lower()
	r.m.rounds.Put(r)
}

// ask sends the acquire to the nodes that were not asked yet, all of them or
// the one given, and waits until they have decided, NodeTimeout is over or ctx
// is done. now is when that time begins, register this process' name for the
// queue on home.
func (r *round) ask(ctx context.Context, now time.Time, only, home *node, register string) {
	voters := r.enlist(only)
	for _, n := range r.m.nodes {
		switch {
		case !voters.has(n.index):
		case n == home && register != "":
			r.send(n, r.lease.request(r.lease.ttl, r.lease.proposed, register))
		case n.many: // go-redis may repeat a command, so it must know its own lock
			r.send(n, r.lease.request(r.lease.ttl, r.lease.proposed, ""))
		default:
			r.send(n, r.claimRequest())
		}
	}
	r.await(ctx, now, only != nil)
}

// enlist returns the nodes that are to be asked now, and counts those that do not vote.
func (r *round) enlist(only *node) (voters nodeSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, n := range r.m.nodes {
		if only != nil && n != only || r.votes[i].answer != unasked {
			continue
		}
		b := n.ballot.Load()
		if err := b.refusal(r.start); err != nil {
			r.count(i, vote{answer: failed, err: n.explain(err)})
			continue
		}
		r.votes[i].answer, r.ballots[i] = asked, b
		r.pending++
		voters.add(i)
	}
	return voters
}

// claimRequest is the same for all nodes.
func (r *round) claimRequest() *wire.Request {
	if !r.claimed {
		r.lease.claim(&r.claim)
		r.claimed = true
	}
	return &r.claim
}

func (r *round) send(n *node, req *wire.Request) {
	n.tell(r.start, r.lease.ttl)
	n.send(r.start, wire.Call{Req: req, Tail: n.tail(r.ballots[n.index]), To: r, Abandoned: r.gaveUp, Wait: len(r.votes) == 1})
}

// abandoned: an acquire that a release stands behind already must not be sent
// again, neither that of a lost round nor that of a lease which was released; nor
// must one be sent to a server that came in the place of the one that may vote.
func (r *round) abandoned(node int) bool {
	return r.lost.Load() || r.lease.gone.Load() || r.m.nodes[node].voids(r.ballots[node])
}

// Receive implements wire.Receiver.
func (r *round) Receive(index int, reply wire.Reply) {
	n := r.m.nodes[index]
	v := readVote(reply)
	switch {
	case v.answer == claimed:
		if v = r.confirm(n, reply); v.answer == asked {
			return
		}
	case v.answer == failed && reply.Repeated: // the first time it may have been executed
		v.answer = unknown
	}
	r.take(n, v)
}

// Repeat implements wire.Repeater. A claim would be refused by its own lock,
// the script knows it. A node that restarted may have forgotten others' locks.
func (r *round) Repeat(index int, sent *wire.Request) *wire.Request {
	switch {
	case r.m.nodes[index].ballot.Load().refusal(time.Now()) != nil:
		return nil
	case sent.Claims():
		return r.lease.request(r.lease.ttl, r.lease.proposed, "")
	}
	return sent
}

// take enters a node's vote.
func (r *round) take(n *node, v vote) {
	switch v.answer {
	case failed, unknown:
		if !errors.Is(v.err, wire.ErrAbandoned) {
			n.failed(v.err)
		}
	case amnesiac:
		n.answered()
		r.m.forgot(n)
	default:
		n.answered()
		if v.answer == granted && !n.knows(r.lease.ttl) {
			v = vote{answer: unknown, err: errUntold}
		}
	}
	r.mu.Lock()
	r.pending--
	if !r.over {
		r.count(n.index, v)
		r.mu.Unlock()
		return
	}
	r.late(n, v)
	last := r.success && r.pending == 0
	r.mu.Unlock()
	if last {
		r.retire()
	}
}

// confirm reads the answer to a claim. Where the counter did not move, the
// script is sent, and its answer will be the node's.
func (r *round) confirm(n *node, reply wire.Reply) vote {
	switch {
	case reply.Text == "": // SET NX refused
		return vote{answer: refused}
	case reply.Err != nil: // the lock is there, the counter failed
		return vote{answer: unknown, err: reply.Err}
	case reply.Int == 1:
		return vote{answer: granted, token: r.lease.proposed}
	}
	n.send(time.Now(), wire.Call{
		Req:  r.lease.request(r.lease.ttl, r.lease.proposed, ""),
		Tail: n.tail(n.ballot.Load()), To: confirmation{r}, Abandoned: r.needless,
	})
	return vote{answer: asked}
}

// needless: behind the end of the round the script could stand behind a renewal
// too, whose shorter TTL it would take back; and the token needs no vote of this
// node any more.
func (r *round) needless(node int) bool { return r.ended.Load() || r.abandoned(node) }

// mayHold reports whether the node may have our lock.
func (v *vote) mayHold() bool {
	switch v.answer {
	case granted, asked, unknown, amnesiac:
		return true
	}
	return false
}

// confirmation receives the answer to the script behind a claim. Whatever went
// wrong with it, the claim has set the lock.
type confirmation struct{ *round }

// Receive implements wire.Receiver.
func (c confirmation) Receive(index int, reply wire.Reply) {
	v := readVote(reply)
	switch {
	case errors.Is(reply.Err, wire.ErrAbandoned) && c.ended.Load():
		v = vote{answer: granted, token: c.lease.proposed}
	case v.answer == failed:
		v.answer = unknown
	}
	c.take(c.m.nodes[index], v)
}

func readVote(reply wire.Reply) vote {
	switch {
	case reply.Claim:
		return vote{answer: claimed}
	case reply.Err != nil && (errors.Is(reply.Err, wire.ErrNotSent) || serverRefused(reply.Err)):
		return vote{answer: failed, err: reply.Err}
	case reply.Err != nil:
		return vote{answer: unknown, err: reply.Err}
	case reply.Int > 0:
		return vote{answer: granted, token: uint64(reply.Int)} //nolint:gosec // positive
	case reply.Int < 0:
		return vote{answer: refused, left: time.Duration(-1-reply.Int) * time.Millisecond}
	}
	return vote{answer: amnesiac, err: errForgot}
}

var errForgot = errors.New("has lost its data since it was met: it does not vote until the longest lease is over")

// count adds an answer in time. mu is held.
func (r *round) count(index int, v vote) {
	r.votes[index] = v
	if v.answer == granted {
		r.yes++
	} else {
		r.no++
	}
	if v.answer == refused {
		r.refusals++
	}
	if r.decided() {
		r.done.raise()
	}
}

// decided reports whether the answers still to come change neither the outcome
// nor what a lost round was lost to. mu is held.
//
//	won, or everybody has answered     decided
//	refused by more than a minority    decided: contention
//	failed by more than a minority     decided once somebody has refused: both. Before that the
//	                                   others tell whether somebody has the lock, as they must:
//	                                   who takes contention for an outage may go on without a lock
//	lost to both together              the others tell which it was
func (r *round) decided() bool {
	minority := len(r.votes) - quorumOf(len(r.votes))
	return r.pending == 0 || decide(len(r.votes), r.yes, r.no) == won ||
		r.refusals > minority || r.refusals > 0 && r.no-r.refusals > minority
}

// late hands what a successful round learns after its end to its lease. What a
// lost round left behind is cleaned up by the release that is already on its
// way behind the acquire. mu is held.
func (r *round) late(n *node, v vote) {
	r.votes[n.index] = v
	if r.success && v.answer == granted {
		r.lease.joined(only(n))
	}
}

// said is one node's answer so far.
func (r *round) said(n *node) vote {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.votes[n.index]
}

// finish closes the round: on success the lease is told which nodes hold it,
// otherwise everything that may have been taken is released. A round that was won is
// no longer the caller's then.
func (r *round) finish(success bool) {
	r.mu.Lock()
	r.over, r.success = true, success
	r.lost.Store(!success)
	r.ended.Store(true)
	var (
		holds nodeSet
		clean []*node
	)
	for i := range r.votes {
		switch v := &r.votes[i]; {
		case success && v.answer == granted:
			holds.add(i)
		case !success && v.mayHold():
			clean = append(clean, r.m.nodes[i])
		}
	}
	if success {
		r.lease.joined(holds)
	}
	last := success && r.pending == 0
	r.mu.Unlock()
	if last {
		r.retire()
	}
	if len(clean) == 0 {
		return
	}
	now := time.Now()
	for _, n := range clean {
		n.repay(now, &repayment{n: n, debt: r.lease.debt(), until: now.Add(r.lease.ttl)})
	}
}
