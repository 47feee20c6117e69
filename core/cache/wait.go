package cache

import (
	"context"
	"runtime"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// collapse gives every caller of a key a place in its flight.
func (c *Cache[V]) collapse(ctx context.Context, call Call[V]) (Result[V], error) {
	deadline := time.NewTimer(call.Wait)
	defer deadline.Stop()
	waited := false
	for {
		f, lead, err := c.board(ctx, call, waited)
		if err != nil {
			return Result[V]{}, err
		}
		if lead && call.Inline {
			return c.leadInline(ctx, f)
		}
		if lead {
			go c.fly(f, c.fromTheStart)
		}
		out := c.await(ctx, f, call, lead, deadline.C)
		if out.end != retry {
			return c.deliver(ctx, call, out)
		}
		waited = waited || !lead
	}
}

// deliver turns an outcome into what the call returns.
func (c *Cache[V]) deliver(ctx context.Context, call Call[V], out outcome[V]) (Result[V], error) {
	switch {
	case out.end == alone:
		return c.fetchAlone(ctx, call, out.res.Waited)
	case out.end == panicked && out.panic.Value == nil:
		runtime.Goexit()
	case out.end == panicked:
		panic(out.panic.Value)
	}
	return out.res, out.err
}

// await is a caller's share in a flight that flies on another goroutine. The end
// of its wait counts once there is something to wait for: another one's lock for
// the caller that leads, what is stored for those who joined it.
func (c *Cache[V]) await(ctx context.Context, f *flight[V], call Call[V], lead bool, deadline <-chan time.Time) outcome[V] {
	found, overdue := f.found, (<-chan struct{})(nil)
	for {
		select {
		case <-found:
			found = nil
			if out := c.offered(f, call); out.end != 0 {
				f.leave()
				return out
			}
		case <-f.done:
			if found != nil { // both at once: the offer was there first
				if out := c.offered(f, call); out.end != 0 {
					return out
				}
			}
			return c.share(f, lead)
		case <-ctx.Done():
			f.leave()
			return failed[V](call.failure(context.Cause(ctx)))
		case <-deadline:
			deadline, overdue = nil, f.found
			if lead {
				overdue = f.contested
			}
		case <-overdue:
			if lead && f.isCommitted() {
				overdue = nil // the fetch is this caller's own
				continue
			}
			f.leave()
			if out := c.offered(f, call); out.end != 0 && found != nil {
				return out
			}
			return c.lateAfter(ctx, call, f.stored())
		}
	}
}

// offered is what a call gets that need not wait for the flight.
func (c *Cache[V]) offered(f *flight[V], call Call[V]) outcome[V] {
	if e := f.prior.e; e.standsIn(now()) && (f.early || call.Contention == StaleFirst) {
		return c.serveStale(e, nil)
	}
	return outcome[V]{}
}

// share is a landed flight's outcome for one of its callers.
func (c *Cache[V]) share(f *flight[V], lead bool) outcome[V] {
	if lead {
		return f.own.led()
	}
	out := f.out
	if out.end == panicked {
		return failed[V](f.call.failure(out.panic))
	}
	if out.end == settled || out.end == alone {
		out.res.Waited = true
		if out.end == settled && out.res.State == Fetched {
			out.res.State, out.res.Stored = Shared, false
			c.counts.shared.Add(1)
		}
	}
	return out
}

// lateAfter is late where something was found before the wait. The store is asked
// again only about what the call would take.
func (c *Cache[V]) lateAfter(ctx context.Context, call Call[V], found sight[V]) outcome[V] {
	if call.Contention == FreshOnly || !found.e.standsIn(now()) {
		return c.late(call, nil)
	}
	return c.late(call, c.standIn(ctx, call.Key, found))
}

// late is what a call gets at the end of its wait.
func (c *Cache[V]) late(call Call[V], e *entry[V]) outcome[V] {
	refusal := call.failure(core.ErrTimeout)
	switch {
	case call.Contention != FreshOnly && e.standsIn(now()):
		return c.serveStale(e, refusal)
	case c.cfg.DirectFetch:
		return outcome[V]{end: alone}
	}
	c.counts.refused.Add(1)
	return failed[V](refusal)
}

// serveStale serves an entry that stands in; it may be fresh still.
func (c *Cache[V]) serveStale(e *entry[V], why error) outcome[V] {
	res := e.result(now())
	if res.State == Fresh {
		c.counts.hits.Add(1)
	} else {
		c.counts.stale.Add(1)
	}
	res.Err = why
	return outcome[V]{end: settled, res: res}
}

// leadInline flies on the caller's own goroutine.
func (c *Cache[V]) leadInline(ctx context.Context, f *flight[V]) (Result[V], error) {
	gone := context.AfterFunc(ctx, func() { f.abandon(context.Cause(ctx)); f.leave() })
	defer gone()
	timer := time.AfterFunc(f.call.Wait, func() {
		select {
		case <-f.contested:
			f.abandon(errWaitOver)
		case <-f.done:
		}
	})
	defer timer.Stop()
	out := c.fly(f, c.fromTheStart)
	switch {
	case out.end == handed:
		out.end = settled
	case out.end == retry && ctx.Err() != nil:
		out = failed[V](f.call.failure(context.Cause(ctx)))
	case out.end == retry && f.call.Contention == StaleFirst && f.prior.e.standsIn(now()):
		out = c.serveStale(f.prior.e, nil)
	case out.end == retry:
		out = c.lateAfter(ctx, f.call, f.stored())
	}
	return c.deliver(ctx, f.call, out.led())
}

// led is the outcome for the leader: it has a value that is not to be shared.
func (o outcome[V]) led() outcome[V] {
	if o.end == alone && o.res.State != 0 {
		o.end = settled
	}
	return o
}
