package core

import (
	"context"
	"sync"
	"time"
)

// lockContext is the context of a lock: a child of the acquirer's that ends with
// the lock. Most locks are held by code that never looks at it, so the child is made
// for the first who does; it is one of package context's own, so that contexts made
// from it need no goroutine, and context.Cause knows its cause.
type lockContext struct {
	lock   *Lock
	parent context.Context

	mu    sync.Mutex
	child context.Context         // nil until somebody asks. Guarded by mu
	stop  context.CancelCauseFunc // child's. Guarded by mu
	over  bool                    // cancelled. Guarded by mu
	cause error                   // of that, or nil. Guarded by mu
	first bool                    // over before the parent was, with no child to know it. Guarded by mu
}

type lockKey struct{}

// FromContext returns the innermost lock that a Do, a handler or the caller of
// Lock.Context runs under.
func FromContext(ctx context.Context) (*Lock, bool) {
	l, ok := ctx.Value(lockKey{}).(*Lock)
	return l, ok
}

// inner is the child, made now if it was not needed before.
func (c *lockContext) inner() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.child == nil {
		parent := c.parent
		if c.first { // whose end since then is not this one's
			parent = context.WithoutCancel(parent)
		}
		c.child, c.stop = context.WithCancelCause(parent)
		if c.over {
			c.stop(c.cause)
		}
	}
	return c.child
}

// cancel ends the context; the first cause counts. It has ended when cancel returns,
// whoever was first.
func (c *lockContext) cancel(cause error) {
	c.mu.Lock()
	if !c.over {
		c.over, c.cause = true, cause
		c.first = c.child == nil && !isDone(c.parent)
	}
	stop, cause := c.stop, c.cause
	c.mu.Unlock()
	if stop != nil {
		stop(cause)
	}
}

// isDone asks by Done, whose word of a lock's context does not depend on the clock.
func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// Deadline is the parent's: a lease that is renewed has none.
func (c *lockContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

// Done is the child's own, so that contexts made from this one attach to that.
func (c *lockContext) Done() <-chan struct{} { return c.inner().Done() }

// Err reports the loss of the lock as soon as its time is over.
func (c *lockContext) Err() error {
	if err := c.inner().Err(); err != nil {
		return err
	}
	c.lock.lease.expireAt(time.Now())
	return c.inner().Err()
}

// Value carries the lock. Package context asks for the child here too, after Done
// or after the end.
func (c *lockContext) Value(key any) any {
	if _, ok := key.(lockKey); ok {
		return c.lock
	}
	c.mu.Lock()
	child, over := c.child, c.over
	c.mu.Unlock()
	switch {
	case child != nil:
		return child.Value(key)
	case over:
		return c.inner().Value(key)
	}
	return c.parent.Value(key)
}
