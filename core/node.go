package core

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// node is one independent Redis as this process sees it.
type node struct {
	index int
	name  string
	m     *Manager
	wire  wire.Transport
	pub   redis.UniversalClient // for subscriptions and rare questions
	owned bool                  // pub is ours to close
	many  bool                  // a deployment of many servers, which has no marker of its own
	opt   *redis.Options        // of a single server; nil otherwise
	given *redis.Options        // the same before we changed them

	ear ear

	ballot atomic.Pointer[ballot]
	told   atomic.Int64 // longest TTL, in ms, that its marker was seen to know

	next atomic.Pointer[time.Timer] // of what is to be done later about the marker, see later

	server  atomic.Pointer[facts] // of the server last met
	tried   atomic.Bool           // the first attempt to connect is over
	cause   atomic.Pointer[error] // why there is no connection; nil while there is one
	flushed atomic.Bool           // the marker went while the server ran
	warned  atomic.Bool           // of what makes the server unsafe

	errors   atomic.Uint64
	down     atomic.Bool // it has failed and not answered since
	standing standing

	debtMu   sync.Mutex
	debts    map[debt]time.Time // releases the node has not confirmed, until the key ends by itself. Guarded by debtMu
	debtsEnd time.Time          // no debt ends before. Guarded by debtMu
	paying   int                // debts under way. Guarded by debtMu
	owing    atomic.Int32       // len(debts), so that a node without debts costs no lock
}

// ballot says whether the node's answers count. It is replaced, never changed.
type ballot struct {
	id    string    // of the marker we met; "" before the first meeting
	since time.Time // since when, at the latest, its data are incomplete, by our clock; zero: they are complete
	lost  int64     // the same as the marker has it, by the server's clock
	from  time.Time // answers count from here on
	why   error     // why they do not until then; for ever while from is zero
}

var (
	errUnmet      = errors.New("not met yet: no connection so far")
	errUndecided  = errors.New("no marker on it yet: waiting for a majority of the nodes, to know whether the deployment is new")
	errMarking    = errors.New("its marker is being written")
	errAsking     = errors.New("it has lost data, or restarted: the other nodes are being asked for the longest lease in use")
	errUnheard    = errors.New("it has lost data, or restarted, and too few of the other nodes answer to tell the longest lease in use")
	errSameServer = errors.New("the same server as another node: every node must be an independent Redis")
)

// quarantineError: the node may have forgotten locks that are still held.
type quarantineError struct{ left time.Duration }

func (e *quarantineError) Error() string {
	return fmt.Sprintf("in quarantine for another %v: it has lost data, or restarted, and may have forgotten locks that are still held", e.left.Round(time.Millisecond))
}

// refusal says why the node does not vote at t.
func (b *ballot) refusal(t time.Time) error {
	switch {
	case b == nil:
		return errUnmet
	case b.from.IsZero():
		return b.why
	case t.Before(b.from):
		return &quarantineError{b.from.Sub(t)}
	}
	return nil
}

// away reports whether the node does not answer or does not vote, so that nobody can
// be queued there.
func (n *node) away(now time.Time) bool {
	return n.down.Load() || n.ballot.Load().refusal(now) != nil
}

// voids reports whether the node was met anew since a call was made on the word of
// b: what answers now may have restarted from an old snapshot, under the same marker.
func (n *node) voids(b *ballot) bool {
	now := n.ballot.Load()
	return now != b && (now.refusal(time.Now()) != nil || now.id != b.id)
}

// explain adds to the reason why the node does not vote, or does not answer, why it is
// not connected.
func (n *node) explain(why error) error {
	cause := n.cause.Load()
	switch {
	case cause == nil:
		return why
	case why == errUnmet, strings.Contains((*cause).Error(), why.Error()): //nolint:errorlint // our own
		return *cause
	}
	return fmt.Errorf("%w; last connection: %w", why, *cause)
}

// tail names the marker with every acquire: the counters are its members, so a
// client that still believes in an older one finds none.
func (n *node) tail(b *ballot) wire.Tail {
	if n.many || b == nil {
		return wire.Tail{Arg: "t"}
	}
	return wire.Tail{Key: n.m.markerKey, Arg: b.id}
}

// send asks the node, whether it votes or not.
func (n *node) send(now time.Time, c wire.Call) {
	c.Node = n.index
	n.wire.Send(now, c)
}

// failed counts what went wrong, and tells of the first that did since the node answered.
func (n *node) failed(err error) {
	n.errors.Add(1)
	if !n.down.Swap(true) {
		n.fell(err)
	}
}

// answered has the node reviewed if it was down, and pays what it is owed.
func (n *node) answered() {
	if n.down.Load() && n.down.Swap(false) {
		n.review()
	}
	if n.owing.Load() > 0 {
		n.payDebts(time.Now())
	}
}

// serverRefused tells an answer of the server from a failure to reach it.
func serverRefused(err error) bool {
	var refused wire.ServerError
	return errors.As(err, &refused)
}
