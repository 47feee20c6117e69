package cache

import "runtime/debug"

// fly runs steps and lands the flight, whatever the fetch does. The outcome it
// returns is the leader's. A Goexit goes on after the landing; a panic is for
// deliver to raise again, on the goroutine of the caller whose fetch it was.
func (c *Cache[V]) fly(f *flight[V], steps func(*flight[V]) outcome[V]) (out outcome[V]) {
	defer func() {
		if out.end == handed {
			return
		}
		if out.end == 0 { // steps did not return
			out = outcome[V]{end: panicked, panic: &PanicError{Value: recover(), Stack: debug.Stack()}}
			c.counts.panics.Add(1)
			if f.behind {
				c.cfg.Logger.Error("dlm/cache: background refresh panicked", "key", f.call.Key, "err", out.panic, "stack", string(out.panic.Stack))
			}
		}
		c.land(f, out)
	}()
	return steps(f)
}

// fromTheStart looks at what is stored and decides what it takes to answer.
//
//	stored            leader asks   fetch          then
//	fresh                           none           everybody has it
//	fresh, XFetch     any           background     fresh at once; refresh as below
//	stale, cooling                  none           everybody has it, and the last error
//	stale             StaleFirst    background     stale at once; refresh if a slot and the lock are free
//	stale             StaleFirst    inline only    refresh if the lock is free, else stale
//	stale             otherwise     foreground     waits for the lock
//	uncacheable                     each its own   in parallel, no lock
//	nothing                         foreground     waits for the lock
func (c *Cache[V]) fromTheStart(f *flight[V]) outcome[V] {
	seen, err := c.glance(f.ctx, f.call.Key)
	if err != nil {
		return failed[V](f.call.failure(err))
	}
	f.early = c.early(f, seen.e)
	if !f.early {
		if out := c.answer(&f.call, seen.e); out.end != 0 {
			return out
		}
	}
	refresh := f.early || f.call.Contention == StaleFirst && seen.e.standsIn(now())
	switch {
	case !refresh, f.call.Inline && f.call.Background == nil:
		f.reveal(seen)
		return c.carry(f, seen, refresh)
	case !c.takeSlot():
		f.reveal(seen)
		return outcome[V]{end: retry}
	}
	f.behind = true
	f.commit()
	f.reveal(seen)
	if !f.call.Inline {
		return c.inBackground(f, seen)
	}
	f.detach()
	go c.fly(f, func(f *flight[V]) outcome[V] { return c.inBackground(f, seen) })
	out := c.serveStale(seen.e, nil)
	out.end = handed
	return out
}

// early reports whether a fresh value is to be refreshed before it expires,
// which is only ever done behind the caller's back.
func (c *Cache[V]) early(f *flight[V], e *entry[V]) bool {
	at := now()
	if !e.isFresh(at) || e.kind != kindValue || f.call.Inline && f.call.Background == nil {
		return false
	}
	return f.call.early || c.near == nil && e.dueEarly(at, c.cfg.EarlyBeta)
}

// inBackground refreshes if nobody else in the fleet does.
func (c *Cache[V]) inBackground(f *flight[V], seen sight[V]) outcome[V] {
	defer func() { <-c.slots }()
	c.counts.refreshes.Add(1)
	return c.carry(f, seen, true)
}

// takeSlot makes room for a background refresh, or counts one dropped.
func (c *Cache[V]) takeSlot() bool {
	select {
	case c.slots <- struct{}{}:
		return true
	default:
		c.counts.dropped.Add(1)
		return false
	}
}

// answer is the outcome when what is stored is all it takes.
func (c *Cache[V]) answer(call *Call[V], e *entry[V]) outcome[V] {
	at := now()
	switch {
	case e.isFresh(at) && e.kind == kindNegative:
		c.counts.negative.Add(1)
		return failed[V](call.failure(e.err))
	case e.isFresh(at) && e.kind == kindUncacheable:
		return outcome[V]{end: alone} // the leader too
	case e.isFresh(at):
		c.counts.hits.Add(1)
		return outcome[V]{end: settled, res: e.result(at)}
	}
	if why := c.coolingOff(call.Key); why != nil && e.standsInForError(at) {
		return c.serveStale(e, why)
	}
	return outcome[V]{}
}

// carry wins the lock, looks again and fetches. With try it takes the lock only
// if nobody has it.
func (c *Cache[V]) carry(f *flight[V], seen sight[V], try bool) outcome[V] {
	turn, out := c.contend(f, try)
	if out.end != 0 {
		return out
	}
	defer c.endTurn(f.ctx, &turn)
	if !f.commit() {
		return outcome[V]{end: retry}
	}
	// Between the first look and the lock another caller may have fetched.
	if turn.lock != nil || turn.waited || !seen.asked {
		var err error
		if seen, err = c.lookAgain(f.ctx, f.call.Key); err != nil {
			return failed[V](f.call.failure(err))
		}
		if unchanged := f.early && seen.e != nil && seen.e.fence == f.prior.e.fence; !unchanged {
			if out := c.answer(&f.call, seen.e); out.end != 0 {
				return asShared(out, turn.waited)
			}
		}
	}
	turn.waited = turn.waited || f.waited
	seen = c.forFetch(f.ctx, f.call.Key, seen)
	if turn.lost() { // while the store was asked: whoever has the lock now fetches
		return outcome[V]{end: retry}
	}
	fetch := f.call.Fetch
	if f.behind && f.call.Background != nil {
		fetch = f.call.Background
	}
	return c.fetch(c.begin(turn.context(f.ctx), f, seen, &turn), f.call.Key, fetch, seen, &turn)
}

// asShared marks what another process' fetch came to while this call waited.
func asShared[V any](out outcome[V], waited bool) outcome[V] {
	if waited && out.end == alone {
		out.res.Waited = true
	}
	if waited && out.end == settled && out.res.State == Fresh {
		out.res.State, out.res.Waited = Shared, true
	}
	return out
}
