package cache

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// policyOf is what applies to a value. An interface type may hold a Policied
// one, so the value itself is asked as well.
func (c *Cache[V]) policyOf(v *V) Policy {
	if p, ok := any(*v).(Policied); ok {
		return p.CachePolicy()
	}
	if p, ok := any(v).(Policied); ok {
		return p.CachePolicy()
	}
	return c.cfg.policy()
}

// fetch makes the value and, as its policy says, stores and shares it.
func (c *Cache[V]) fetch(ctx context.Context, key string, fetch func(context.Context) (V, error), seen sight[V], turn *turn) outcome[V] {
	c.counts.fetches.Add(1)
	if turn.lock == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.MaxHold)
		defer cancel()
	}
	begun := now()
	v, err := fetch(context.WithValue(ctx, priorKey{}, &prior[V]{c, key, seen}))
	took := time.Duration(now() - begun)
	if err != nil {
		return c.afterError(ctx, key, seen, turn, err, took)
	}
	c.warm(key)
	out := outcome[V]{end: settled, res: Result[V]{Value: v, State: Fetched, Expired: seen.e != nil, Waited: turn.waited}}
	if turn.declined {
		return out
	}
	p := c.policyOf(&v)
	if p.NoStore {
		out.end = alone
		c.markUncacheable(ctx, key, p.HitForMiss, seen, turn)
		return out
	}
	s := c.spanOf(p, took)
	out.res.TTL = s.fresh
	next := newFill[V](s)
	next.value, next.tags = v, p.Tags
	out.res.Stored = c.fill(ctx, key, next, seen, turn)
	return out
}

// afterError remembers the error, or serves the old value instead of it.
func (c *Cache[V]) afterError(ctx context.Context, key string, seen sight[V], turn *turn, err error, took time.Duration) outcome[V] {
	c.counts.fetchErrors.Add(1)
	if named := c.negative(err); named != nil {
		next := newFill[V](span{kind: kindNegative, fresh: c.cfg.Negative, delta: took})
		next.err = named
		c.fill(ctx, key, next, seen, turn)
		return failed[V](err)
	}
	if errors.Is(context.Cause(ctx), errDeserted) {
		return outcome[V]{end: retry}
	}
	if turn.strict {
		return failed[V](err)
	}
	if e := c.standIn(ctx, key, seen); e.standsInForError(now()) {
		c.cool(key, err)
		return c.serveStale(e, err)
	}
	return failed[V](err)
}

// standIn is what may be served in place of an error, or late, where something was
// seen before. It is looked for once more, because it may have been purged since; a
// store that cannot be asked has no purge to tell of, and memory that lacks the
// entry has one only if it heard of one.
func (c *Cache[V]) standIn(ctx context.Context, key string, seen sight[V]) *entry[V] {
	if !seen.e.standsInForError(now()) {
		return nil
	}
	again, err := c.glance(context.WithoutCancel(ctx), key)
	switch {
	case again.asked || again.e != nil:
		return again.e
	case c.near == nil, err == nil && c.near.unpurged(key, seen.near):
		return seen.e
	}
	return nil
}

// spanOf fixes a policy's lifetimes, jittered.
func (c *Cache[V]) spanOf(p Policy, took time.Duration) span {
	clip := func(d time.Duration) time.Duration { return min(max(d, 0), maxLifetime) }
	s := span{fresh: clip(p.Fresh), stale: clip(p.Stale), onErr: clip(p.StaleIfError), delta: took}
	if c.cfg.Jitter > 0 {
		s.fresh -= time.Duration(float64(s.fresh) * c.cfg.Jitter * rand.Float64())
	}
	return s
}

// fetchAlone fetches for one caller: nothing is locked, shared or stored.
func (c *Cache[V]) fetchAlone(ctx context.Context, call Call[V], waited bool) (Result[V], error) {
	c.counts.fetches.Add(1)
	c.counts.direct.Add(1)
	v, err := call.Fetch(alongside(ctx, waited))
	if err != nil {
		c.counts.fetchErrors.Add(1)
		return Result[V]{}, err
	}
	return Result[V]{Value: v, State: Fetched, Waited: waited}, nil
}
