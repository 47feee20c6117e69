package cache

import (
	"context"
	"errors"
	"sync"

	"github.com/market-intel-brain/dlm/core"
)

// flight is one lookup that any number of callers of this process share: the
// look into the store, the contest for the lock, the fetch and the fill.
//
//	outcome    the caller that leads it  those who joined it
//	settled    its result                the same, as Shared
//	alone      its result                fetch for themselves, in parallel
//	retry      stale value or refusal    look again; one of them leads
//	panicked   the panic or Goexit       *PanicError
type flight[V any] struct {
	call   Call[V]
	leader context.Context         // the leading caller's
	ctx    context.Context         // carries the leader's values, not its cancellation
	cancel context.CancelCauseFunc // of ctx
	untie  func() bool             // from the Cache's own end

	contested chan struct{} // closed once the lock is known to be somebody else's

	found chan struct{} // closed once prior is known
	prior sight[V]      // what is stored, if anything; set before found closes
	done  chan struct{}
	own   outcome[V] // for the leader; set before done closes
	out   outcome[V] // for those who joined; set before done closes

	mu        sync.Mutex
	callers   int  // guarded by mu; those who still want the value
	committed bool // guarded by mu; it fetches, or refreshes in the background
	inline    bool // guarded by mu; it flies on the leader's goroutine
	ended     bool // guarded by mu; it has landed, or was declined
	behind    bool // it refreshes in the background; set before it commits
	waited    bool // its leader has waited for another flight before
	early     bool // what it refreshes is fresh still; set before prior is known
}

type ending uint8

const (
	settled ending = iota + 1
	alone
	retry
	panicked
	handed // the flight goes on elsewhere; not an end
)

type outcome[V any] struct {
	end   ending
	res   Result[V]
	err   error
	panic *PanicError
	mine  bool // err concerns the leader only; the others look again
}

func failed[V any](err error) outcome[V] { return outcome[V]{end: settled, err: err} }

// Why a flight's context ends.
var (
	errDeserted = errors.New("nobody waits for the value any more")
	errWaitOver = errors.New("the wait for the lock is over")
	errLanded   = errors.New("the lookup has ended")
)

// board joins the key's flight or starts one, which the caller must fly.
func (c *Cache[V]) board(ctx context.Context, call Call[V], waited bool) (f *flight[V], lead bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[call.Key]; ok {
		switch {
		case waitsForItself(ctx, f):
			return nil, false, call.failure(core.ErrDeadlock)
		case f.join():
			return f, false, nil
		}
	}
	if c.closed {
		return nil, false, call.failure(ErrClosed)
	}
	f = &flight[V]{call: call, leader: ctx, callers: 1, inline: call.Inline, waited: waited,
		contested: make(chan struct{}), found: make(chan struct{}), done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	f.untie = context.AfterFunc(c.ctx, func() { f.cancel(context.Cause(c.ctx)) })
	c.flights[call.Key] = f
	c.running.Add(1)
	return f, true, nil
}

// join reports false for a flight that has been given up.
func (f *flight[V]) join() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.callers++
	return true
}

// leave gives the flight up with its last caller as long as it has not
// committed itself; an inline fetch also later, for it has nobody to write to.
func (f *flight[V]) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.callers--
	if f.callers == 0 && (f.inline || !f.committed) {
		f.cancel(errDeserted)
	}
}

// abandon gives up an inline flight whose leader stops waiting; those who
// joined look again. A fetch that has begun is theirs to keep.
func (f *flight[V]) abandon(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.committed {
		f.cancel(cause)
	}
}

// commit reports false when the flight was given up before.
func (f *flight[V]) commit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.committed = true
	return true
}

// detach lets an inline flight go on without its leader.
func (f *flight[V]) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inline = false
	f.callers--
}

func (f *flight[V]) isCommitted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.committed
}

// land ends the flight: nobody joins it any more and everybody learns how it
// ended. The end of a leader that had left is nobody else's: they look again.
func (c *Cache[V]) land(f *flight[V], out outcome[V]) {
	if f.end() {
		c.settle(f, out)
	}
}

// end reports whether the flight had not ended before.
func (f *flight[V]) end() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := f.ended
	f.ended = true
	return !ended
}

func (c *Cache[V]) settle(f *flight[V], out outcome[V]) {
	c.mu.Lock()
	if c.flights[f.call.Key] == f {
		delete(c.flights, f.call.Key)
	}
	c.mu.Unlock()
	f.own, f.out = out, out
	unwound := out.err != nil || out.end == panicked
	if out.mine || f.call.Inline && !f.behind && unwound && f.leader.Err() != nil {
		f.out = outcome[V]{end: retry}
	}
	f.reveal(sight[V]{})
	close(f.done)
	f.cancel(errLanded)
	f.untie()
	c.running.Done()
}

// reveal shows, once, what is stored to those who would take a stale value.
// Only the goroutine that flies calls it.
func (f *flight[V]) reveal(seen sight[V]) {
	select {
	case <-f.found:
	default:
		f.prior = seen
		close(f.found)
	}
}

// stored is prior where it is known.
func (f *flight[V]) stored() sight[V] {
	select {
	case <-f.found:
		return f.prior
	default:
		return sight[V]{}
	}
}
