package cache

import (
	"context"

	"github.com/market-intel-brain/dlm/core"
)

// serial runs one call under the lock, on the caller's goroutine. It takes the
// lock before it looks, because it needs the lock in any case.
func (c *Cache[V]) serial(ctx context.Context, call Call[V]) (Result[V], error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return Result[V]{}, call.failure(ErrClosed)
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()

	t, out := c.serialTurn(ctx, call)
	if out.end == 0 {
		out = c.serialFetch(ctx, call, &t)
	}
	return c.deliver(ctx, call, out.led())
}

func (c *Cache[V]) serialFetch(ctx context.Context, call Call[V], t *turn) outcome[V] {
	defer c.endTurn(ctx, t)
	var seen sight[V]
	if c.cfg.stores() {
		var err error
		if seen, err = c.look(ctx, call.Key); err != nil {
			return failed[V](call.failure(err))
		}
		if !call.Force {
			if out := c.answerInTurn(&call, seen.e); out.end != 0 {
				return asShared(out, t.waited)
			}
		}
		seen = c.forFetch(ctx, call.Key, seen)
		if t.lost() {
			return failed[V](call.failure(core.ErrLost))
		}
	}
	return c.fetch(t.context(ctx), call.Key, call.Fetch, seen, t)
}

// serialTurn waits for the lock. Whoever finds it taken gets what is stored, if
// its Contention says so.
func (c *Cache[V]) serialTurn(ctx context.Context, call Call[V]) (turn, outcome[V]) {
	t := turn{name: call.Lock, told: !c.cfg.stores(), strict: call.Force}
	if c.cfg.stores() && !call.Force && call.Contention == StaleFirst {
		if err := c.try(ctx, &t); err == nil || !contended(err) {
			return t, c.afterSerialContest(ctx, call, err)
		}
		t.waited = true
		if out := c.meanwhile(ctx, call); out.end != 0 {
			return t, out
		}
	}
	err := c.take(ctx, &t, call.Wait)
	return t, c.afterSerialContest(ctx, call, err)
}

// meanwhile is what is stored, for a call that found the lock taken.
func (c *Cache[V]) meanwhile(ctx context.Context, call Call[V]) outcome[V] {
	seen, err := c.glance(ctx, call.Key)
	if err != nil {
		return failed[V](call.failure(err))
	}
	if out := c.answerInTurn(&call, seen.e); out.end != 0 {
		return out
	}
	if seen.e.standsIn(now()) {
		return c.serveStale(seen.e, nil)
	}
	return outcome[V]{}
}

// answerInTurn is answer for calls that run one at a time: that the last value could
// not be shared is no leave to fetch beside others.
func (c *Cache[V]) answerInTurn(call *Call[V], e *entry[V]) outcome[V] {
	out := c.answer(call, e)
	if out.end == alone {
		return outcome[V]{}
	}
	return out
}

func (c *Cache[V]) afterSerialContest(ctx context.Context, call Call[V], err error) outcome[V] {
	switch {
	case err == nil:
		return outcome[V]{}
	case ctx.Err() != nil, contended(err):
		return c.lateSerial(ctx, call, err)
	}
	return c.lockFailure(&call, err, nil)
}

// lateSerial is what a call gets that waited for the lock in vain.
func (c *Cache[V]) lateSerial(ctx context.Context, call Call[V], err error) outcome[V] {
	if call.Force || ctx.Err() != nil {
		return failed[V](call.failure(err))
	}
	var seen sight[V]
	if c.cfg.stores() && call.Contention != FreshOnly {
		seen, _ = c.glance(ctx, call.Key) // a store that fails has nothing to offer
	}
	return c.late(call, seen.e)
}
