package core

import (
	"crypto/rand"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// lease is one grant in Redis. Several locks may live on it one after the
// other, see handover.go; one of them at a time.
type lease struct {
	m        *Manager
	key      string
	names    names
	owner    string // unique per attempt, so that no late release of one attempt meets another's lock
	metadata string
	proposed uint64        // first token of the block asked for
	token    uint64        // first token of the block granted. Written before the lease is used
	at       int64         // when the attempt began, in Unix milliseconds
	ttl      time.Duration // of the attempt, and of its cleaning up

	mu      sync.Mutex
	expires time.Time     // when the first node may drop the key. Guarded by mu
	until   time.Time     // expires less drift: nobody relies on the lock beyond. Guarded by mu
	renewal time.Duration // TTL of the next renewal. Guarded by mu
	longest time.Duration // TTL ever asked for: a key of the lease can outlive its end by that. Guarded by mu
	holds   nodeSet       // nodes known to hold it. Guarded by mu
	lock    *Lock         // whose turn it is. Guarded by mu
	first   Lock          // that of the first turn, here to save an allocation
	stop    time.Time     // MaxHold's end. Guarded by mu
	auto    bool          // renewed until stop. Guarded by mu
	failed  bool          // the latest renewal of a batch has all its answers, and was neither confirmed nor lost. Guarded by mu
	over    bool          // released or lost. Guarded by mu
	gone    atomic.Bool   // over, for those who hold a transport's mutex, which comes after mu

	// order is held while a renewal is worked out and sent, so that every node
	// executes those of one lease in the order of their numbers. It comes before mu.
	order     sync.Mutex
	sent      uint64    // renewals so far, each one's number. Guarded by mu
	confirmed uint64    // the latest that a majority confirmed. Guarded by mu
	shortened uint64    // the latest that took from what was asked for before. Guarded by mu
	asked     time.Time // the end that the nodes are left with by what was sent, confirmed or not. Guarded by mu

	// Guarded by the keeper's mu.
	due  time.Time
	slot int // place in the keeper's heap, from 1; 0: none
}

func (m *Manager) newLease(key string, nm names, s *settings, now time.Time) *lease {
	return &lease{
		m: m, key: key, names: nm, owner: rand.Text(), metadata: s.Metadata,
		proposed: m.propose(now), at: now.UnixMilli(), ttl: s.TTL, renewal: s.TTL, longest: s.TTL,
	}
}

// appendNote appends what is stored beside owner and token.
func (l *lease) appendNote(b []byte) []byte {
	b = strconv.AppendInt(b, l.at, 10)
	return append(append(b, ':'), l.metadata...)
}

func (l *lease) debt() debt {
	return debt{lock: l.names.lock, queue: l.names.queue, owner: l.owner}
}

// begin sets the validity of a grant whose round began at start. It reports
// false when nothing is left of it at now. Nobody else looks at that before the
// lease has a lock, so it goes without mu.
func (l *lease) begin(start, now time.Time) bool {
	l.setExpiry(start, l.ttl)
	l.asked = l.expires
	return now.Before(l.until)
}

// setExpiry counts from before the first command was sent. mu is held.
func (l *lease) setExpiry(start time.Time, ttl time.Duration) {
	l.expires = start.Add(ttl)
	l.until = l.expires.Add(-driftOf(ttl, l.m.cfg.DriftFactor))
}

// request asks a node to hold the lease for ttl with a block of tokens that begins
// with first. register is this process' name for the queue, or empty.
func (l *lease) request(ttl time.Duration, first uint64, register string) *wire.Request {
	var space [64]byte
	return wire.NewRequest(acquireScript, 3, l.names.lock, l.names.fence, l.names.queue,
		l.owner, strconv.FormatInt(ttl.Milliseconds(), 10),
		strconv.FormatUint(first, 10), strconv.FormatUint(first+turns-1, 10), string(l.appendNote(space[:0])), register)
}

// claim is the request of an uncontended acquisition, see fence.go.
func (l *lease) claim(r *wire.Request) {
	var space [128]byte
	record := append(append(space[:0], l.owner...), ':')
	record = append(strconv.AppendUint(record, l.proposed, 10), ':')
	record = l.appendNote(record)
	r.Claim(l.names.lock, record, l.ttl, l.names.fence, l.proposed+turns-1)
}

// joined records that nodes hold the lease.
func (l *lease) joined(nodes nodeSet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds |= nodes
}

func (l *lease) left(n *node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds.remove(n.index)
}

func (l *lease) validUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// end closes the lease once, by its loss or by its release at now, and returns the lock
// whose turn it is; true for the first caller.
func (l *lease) end(now time.Time, lost bool) (*Lock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return l.lock, false
	}
	l.over = true
	l.gone.Store(true)
	l.leave(now)
	if l.lock != nil {
		l.lock.lost = lost
	}
	return l.lock, true
}

// leave ends the present lock's hold on the lease. mu is held.
func (l *lease) leave(now time.Time) {
	if l.lock == nil || !l.lock.ended.IsZero() {
		return
	}
	l.lock.ended = earlier(now, l.until)
}

// validFor is until when one of the locks that live on the lease is valid.
func (l *lease) validFor(lock *Lock) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !lock.ended.IsZero() {
		return lock.ended
	}
	return l.until
}

// lose ends the lease because it can no longer be relied upon, and says so to
// the lock that lives on it.
func (l *lease) lose() {
	lock, first := l.end(time.Now(), true)
	if lock != nil {
		lock.ctx.cancel(ErrLost) // also by who comes second, and could go on before the first gets here
	}
	if !first {
		return
	}
	l.m.keeper.forget(l)
	if lock != nil {
		l.m.lost(lock)
	}
}

// expireAt loses the lease if its time is over at now.
func (l *lease) expireAt(now time.Time) bool {
	if now.Before(l.validUntil()) {
		return false
	}
	l.lose()
	return true
}
