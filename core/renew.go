package core

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Extend adds by to what is left of the lease.
//
// ErrExpired: the lease is over, and is not taken again even if the key is free.
// ErrNotOwner: another owner has the key. ErrNoQuorum: too few nodes answered;
// the lock is held until the Until it had before.
func (l *Lock) Extend(ctx context.Context, by time.Duration) error {
	return l.lengthen(ctx, "extend", by, true)
}

// Renew resets the lease to ttl, counted from the start of the call. A shorter
// TTL than what is left shortens it, also when the nodes' answers are lost. A lock
// that is renewed by itself is renewed to ttl from then on. Errors as of Extend.
func (l *Lock) Renew(ctx context.Context, ttl time.Duration) error {
	return l.lengthen(ctx, "renew", ttl, false)
}

func (l *Lock) lengthen(ctx context.Context, op string, d time.Duration, add bool) error {
	if l == nil {
		return lockError(op, "", errNoLock)
	}
	if err := l.m.renewOne(ctx, l, d, add); err != nil {
		return lockError(op, l.Key(), err)
	}
	l.m.observe(ctx, Event{Kind: EventRenewed, Key: l.Key(), Owner: l.Owner(), FencingToken: l.token, Time: time.Now()})
	return nil
}

func (m *Manager) renewOne(ctx context.Context, l *Lock, d time.Duration, add bool) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	if l.expired(time.Now()) {
		return ErrExpired
	}
	r, err := m.sendRenewal(l, d, add)
	if err != nil {
		return err
	}
	m.keeper.watch(l.lease, time.Now()) // which may end sooner now, whatever becomes of the call
	m.awaitAnswers(ctx, &r.wait, r.start.Add(m.cfg.NodeTimeout), r.settled)
	return endedBy(ctx, r.result())
}

// sendRenewal sends what the lock's holder asked for.
func (m *Manager) sendRenewal(l *Lock, d time.Duration, add bool) (*renewal, error) {
	s := l.lease
	s.order.Lock()
	defer s.order.Unlock()
	r := m.newRenewal(time.Now(), []*lease{s})
	if err := s.ask(r, l, d, add); err != nil {
		return nil, err
	}
	r.send()
	return r, nil
}

// ask checks and enters what the holder asks for. A shorter lease is relied upon
// no longer than it will last, whatever becomes of the call.
func (l *lease) ask(r *renewal, holder *Lock, d time.Duration, add bool) error {
	now, drift := r.start, l.m.cfg.DriftFactor
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over || l.lock != holder:
		return causes{ErrNotOwner, ErrExpired}
	case !now.Before(l.until):
		return ErrExpired
	}
	ttl := d
	if add {
		ttl = l.expires.Sub(now) + d
	}
	if d <= 0 || ttl < time.Millisecond || ttl > maxTTL || ttl <= driftOf(ttl, drift) {
		return fmt.Errorf("%w: %v: the lease must stay between 1ms, or the clock drift allowance, and %v", ErrInvalid, d, maxTTL)
	}
	if add { // takes nothing back from another extension that is under way
		ttl = max(ttl, l.asked.Sub(now))
	}
	l.enter(r, 0, ttl)
	if end := now.Add(ttl); end.Before(l.asked) {
		l.shortened, l.asked = l.sent, end
	} else {
		l.asked = end
	}
	if until := now.Add(ttl - driftOf(ttl, drift)); until.Before(l.until) {
		l.until, l.expires = until, now.Add(ttl)
	}
	if !add {
		l.renewal = ttl
	}
	return nil
}

// enter numbers the renewal, which is the i-th of r. mu is held.
func (l *lease) enter(r *renewal, i int, ttl time.Duration) {
	l.sent++
	r.ttls[i], r.numbers[i] = ttl, l.sent
	l.longest = max(l.longest, ttl)
}

// maxBatch is how many leases one renewal command carries.
const maxBatch = 100

func (m *Manager) renewAll(now time.Time, leases []*lease) {
	for len(leases) > 0 {
		n := min(len(leases), maxBatch)
		m.newRenewal(now, leases[:n:n]).sendInOrder()
		leases = leases[n:]
	}
}

// sendInOrder holds the order of many leases at once, which only the keeper does.
func (r *renewal) sendInOrder() {
	for i, l := range r.leases {
		l.order.Lock()
		l.again(r, i)
	}
	r.send()
	for _, l := range r.leases {
		l.order.Unlock()
	}
}

// again enters a renewal to the TTL of the lock whose turn it is. It ends no
// earlier than what was asked for before: an extension under way would be taken
// back on the nodes and then be confirmed by them.
func (l *lease) again(r *renewal, i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ttl := max(l.renewal, l.asked.Sub(r.start))
	l.enter(r, i, ttl)
	l.failed = false
	l.asked = r.start.Add(ttl)
}

// renewal is one command to all nodes that renews a batch of leases.
type renewal struct {
	m       *Manager
	wait    // of who asked for it, if anybody did
	start   time.Time
	leases  []*lease
	ttls    []time.Duration
	numbers []uint64 // of the renewal among each lease's

	mu     sync.Mutex
	counts []tally     // per lease. Guarded by mu
	gone   [][]*node   // nodes that had lost it, until a majority confirms. Guarded by mu
	nodes  []NodeError // that failed. Guarded by mu
	left   int         // nodes to answer. Guarded by mu
}

// tally is what the nodes said of one lease.
type tally struct{ renewed, gone, others int }

func (m *Manager) newRenewal(now time.Time, leases []*lease) *renewal {
	return &renewal{
		m: m, start: now, leases: leases,
		ttls: make([]time.Duration, len(leases)), numbers: make([]uint64, len(leases)),
		counts: make([]tally, len(leases)), gone: make([][]*node, len(leases)),
		wait: wait{done: make(signal, 1)}, left: len(m.nodes),
	}
}

func (r *renewal) send() {
	var shared *wire.Request
	longest := r.m.longer(slices.Max(r.ttls))
	for _, n := range r.m.nodes {
		if n.many {
			r.sendEach(n)
			continue
		}
		n.tell(r.start, longest)
		if shared == nil {
			shared = r.request(0, len(r.leases))
		}
		n.send(r.start, wire.Call{Req: shared, To: r})
	}
}

// sendEach renews one by one where the keys live in different slots.
func (r *renewal) sendEach(n *node) {
	g := &gather{to: r, items: make([]wire.Reply, len(r.leases)), left: len(r.leases)}
	for i := range r.leases {
		n.send(r.start, wire.Call{Req: r.request(i, i+1), To: gatherOne{g, i}})
	}
}

func (r *renewal) request(from, to int) *wire.Request {
	req := &wire.Request{
		Script: renewScript,
		Keys:   make([]string, 0, to-from),
		Args:   make([]string, 0, 2*(to-from)),
	}
	for i := from; i < to; i++ {
		req.Keys = append(req.Keys, r.leases[i].names.lock)
		req.Args = append(req.Args, r.leases[i].owner, strconv.FormatInt(r.ttls[i].Milliseconds(), 10))
	}
	return req
}

// Receive implements wire.Receiver.
func (r *renewal) Receive(index int, reply wire.Reply) {
	n := r.m.nodes[index]
	if reply.Err == nil && len(reply.Items) != len(r.leases) {
		reply.Err = fmt.Errorf("answered for %d locks of %d", len(reply.Items), len(r.leases))
	}
	if reply.Err != nil {
		n.failed(reply.Err)
	} else {
		n.answered()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if reply.Err != nil {
		r.nodes = append(r.nodes, NodeError{n.name, reply.Err})
	} else {
		for i := range reply.Items {
			r.count(i, n, reply.Items[i].Int)
		}
	}
	if r.left == 0 {
		r.hasten()
	}
	if r.decided() {
		r.done.raise()
	}
}

// hasten has those leases tried again about which the answers have decided nothing. mu is held.
func (r *renewal) hasten() {
	now := time.Now()
	for i, l := range r.leases {
		if r.verdict(i) == undecided {
			r.m.keeper.hasten(l, now)
		}
	}
}

func (r *renewal) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.decided()
}

// decided reports whether who waits has its answer. mu is held.
func (r *renewal) decided() bool {
	return r.left == 0 || len(r.leases) == 1 && r.verdict(0) != undecided
}

// Repeat implements wire.Repeater, as long as there is a lease to renew.
func (r *renewal) Repeat(_ int, sent *wire.Request) *wire.Request {
	for _, l := range r.leases {
		if !l.gone.Load() {
			return sent
		}
	}
	return nil
}

func (r *renewal) verdict(i int) verdict {
	return decide(len(r.m.nodes), r.counts[i].renewed, r.counts[i].gone+r.counts[i].others)
}

// count takes one node's word on one lease, and acts when a majority has spoken:
// the lease is renewed, and nodes that had lost it may hold it again; or it is
// lost. mu is held.
func (r *renewal) count(i int, n *node, code int64) {
	l, c := r.leases[i], &r.counts[i]
	before := r.verdict(i)
	switch {
	case code == 1 && !n.knows(r.ttls[i]):
		r.nodes = append(r.nodes, NodeError{n.name, errUntold})
		l.joined(only(n))
	case code == 1:
		c.renewed++
		l.joined(only(n))
	case code == 0:
		c.gone++
		l.left(n)
		r.gone[i] = append(r.gone[i], n)
	default:
		c.others++
		l.left(n)
	}
	now := r.verdict(i)
	if now == won {
		if before != won {
			l.renewed(r.start, r.ttls[i], r.numbers[i])
		}
		for _, n := range r.gone[i] {
			l.topUp(time.Now(), n)
		}
		r.gone[i] = nil
	}
	if now == lostVote && before != lostVote {
		l.lose()
	}
}

// renewed moves the validity on, unless a later renewal has had its say: one
// that was confirmed, or one to an earlier end, which the nodes may have by now.
func (l *lease) renewed(start time.Time, ttl time.Duration, number uint64) {
	l.mu.Lock()
	if !l.over && number >= l.shortened && number > l.confirmed {
		l.confirmed = number
		l.setExpiry(start, ttl)
	}
	l.mu.Unlock()
	l.m.keeper.watch(l, time.Now())
}

// result is what became of the only lease of a renewal.
func (r *renewal) result() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.verdict(0) {
	case won:
		return nil
	case lostVote:
		if r.counts[0].others > 0 {
			return causes{ErrExpired, ErrNotOwner}
		}
		return ErrExpired
	}
	nodes := slices.Clone(r.nodes)
	if r.left > 0 {
		nodes = append(nodes, NodeError{fmt.Sprintf("%d more", r.left), &timeoutAfter{time.Since(r.start)}})
	}
	return &QuorumError{Need: quorumOf(len(r.m.nodes)), Got: r.counts[0].renewed, Nodes: nodes}
}

// gather joins the answers of a node that was asked lease by lease.
type gather struct {
	to *renewal

	mu    sync.Mutex
	items []wire.Reply // guarded by mu
	left  int          // guarded by mu
	err   error        // guarded by mu
}

type gatherOne struct {
	g *gather
	i int
}

// Receive implements wire.Receiver.
func (o gatherOne) Receive(index int, reply wire.Reply) {
	g := o.g
	g.mu.Lock()
	if reply.Err != nil {
		g.err = reply.Err
	} else if len(reply.Items) == 1 {
		g.items[o.i] = reply.Items[0]
	}
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if last {
		g.to.Receive(index, wire.Reply{Err: g.err, Items: g.items})
	}
}
