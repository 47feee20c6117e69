package cache

import (
	"context"
	"time"
)

// fetching is what the context of a fetch knows of it.
type fetching struct {
	flight  any       // *flight[V]
	outer   *fetching // of the fetch this one was begun in
	decline func(hitForMiss time.Duration)
	behind  bool // it refreshes in the background
	waited  bool // its caller waited for another one before
}

type fetchingKey struct{}

func fetchingIn(ctx context.Context) *fetching {
	f, _ := ctx.Value(fetchingKey{}).(*fetching)
	return f
}

// IsRefresh reports whether ctx is that of a fetch in the background, whose
// caller was given a stale value, or one about to be, and may be gone.
func IsRefresh(ctx context.Context) bool {
	f := fetchingIn(ctx)
	return f != nil && f.behind
}

// Waited reports whether ctx is that of a fetch whose caller waited for the fetch
// or the lock of another one first, and could not have its value: what
// [Result.Waited] says once the fetch has ended. It is false for a call that is Serial
// or has Force: such a call waits for its turn, never for another one's value.
func Waited(ctx context.Context) bool {
	f := fetchingIn(ctx)
	return f != nil && f.waited
}

// alongside is ctx for a fetch without a flight.
func alongside(ctx context.Context, waited bool) context.Context {
	outer := fetchingIn(ctx)
	if waited == Waited(ctx) {
		return ctx
	}
	return context.WithValue(ctx, fetchingKey{}, &fetching{outer: outer, behind: outer != nil && outer.behind, waited: waited})
}

// waitsForItself reports whether a caller with ctx would wait for a fetch that
// waits for the caller.
func waitsForItself(ctx context.Context, flight any) bool {
	for f := fetchingIn(ctx); f != nil; f = f.outer {
		if f.flight == flight {
			return true
		}
	}
	return false
}

// Decline tells the Cache, from within a [Call.Fetch] that runs Inline, that its
// value will be nobody else's: a response that has begun to stream, say. Those
// who wait for it fetch for themselves at once, and so does everybody else for
// hitForMiss. The lock is released, and the context of the Fetch ends with it.
// Later calls, and calls with any other context, do nothing.
//
// A call that is Serial or has Force keeps its lock: it shares nothing anyway.
func Decline(ctx context.Context, hitForMiss time.Duration) {
	if f := fetchingIn(ctx); f != nil && f.decline != nil {
		f.decline(hitForMiss)
	}
}

// begin is ctx for the fetch of f.
func (c *Cache[V]) begin(ctx context.Context, f *flight[V], seen sight[V], turn *turn) context.Context {
	this := &fetching{flight: f, outer: fetchingIn(ctx), behind: f.behind, waited: turn.waited}
	if f.call.Inline && !f.behind {
		this.decline = func(hitForMiss time.Duration) { c.decline(ctx, f, seen, turn, hitForMiss) }
	}
	return context.WithValue(ctx, fetchingKey{}, this)
}

func (c *Cache[V]) decline(ctx context.Context, f *flight[V], seen sight[V], turn *turn, hitForMiss time.Duration) {
	if !f.end() {
		return
	}
	turn.declined = true
	c.markUncacheable(ctx, f.call.Key, hitForMiss, seen, turn)
	c.endTurn(f.ctx, turn)
	turn.lock = nil
	c.settle(f, outcome[V]{end: alone})
}
