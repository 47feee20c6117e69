package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Cache keeps values of one type. It is safe for concurrent use.
type Cache[V any] struct {
	cfg    Config
	near   *space      // decoded values in this process, or nil
	far    *boundStore // the shared store, or nil
	news   *newsroom
	counts counters
	local  localLocks // without Locks

	// ctx ends every goroutine of the Cache; running counts them.
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
	slots   chan struct{} // one per background refresh

	mu      sync.Mutex
	closed  bool                  // guarded by mu
	flights map[string]*flight[V] // guarded by mu; the ones that callers may join
	cooling map[string]cooldown   // guarded by mu; keys whose refresh failed
	swept   int64                 // guarded by mu; when those that are over were last forgotten
}

// New validates cfg and opens the Cache. It sends no command.
func New[V any](cfg Config) (*Cache[V], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Store == nil {
		cfg.Store = NewMemory(defaultMemory)
	}
	c := &Cache[V]{
		cfg:     cfg,
		slots:   make(chan struct{}, cfg.Background),
		flights: map[string]*flight[V]{}, cooling: map[string]cooldown{}, swept: now(),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.openStores()
	return c, nil
}

// openStores tells the tier that can hold decoded values from the one behind it.
func (c *Cache[V]) openStores() {
	var far Store
	switch s := c.cfg.Store.(type) {
	case *Memory:
		c.near = s.spaceOf(c.cfg.Namespace)
	case *Tiered:
		c.near, far = s.near.spaceOf(c.cfg.Namespace), s.far
		c.near.follow(false) // until the notices flow
	default:
		far = s
	}
	if far != nil {
		c.far = newBoundStore(far, c.cfg.StoreTimeout, c.cfg.Logger)
	}
	c.news = newNewsroom()
	c.follow(far)
}

// Get returns the value under key, which fetch makes when no usable one is
// stored: once in the fleet, for everybody who waits. See [Cache.Lookup].
func (c *Cache[V]) Get(ctx context.Context, key string, fetch func(context.Context) (V, error)) (V, error) {
	call := Call[V]{Key: key, Fetch: fetch}
	e, due := c.current(key, now())
	if e != nil && !due {
		c.counts.hits.Add(1)
		return e.value, nil
	}
	call.early = due
	r, err := c.miss(ctx, call)
	return r.Value, err
}

// Lookup is Get that also says where the value came from.
//
// A fresh stored value is returned as it is. A stale one is returned at once
// while one caller in the fleet refreshes it in the background. Without either,
// one caller in the fleet fetches under the lock and the others wait for its
// value, no longer than [Config.Wait] or their context. A failed refresh gives
// the old value for as long as its Policy allows, with the error in Result.Err.
func (c *Cache[V]) Lookup(ctx context.Context, key string, fetch func(context.Context) (V, error)) (Result[V], error) {
	return c.Do(ctx, Call[V]{Key: key, Fetch: fetch})
}

// Refresh fetches under the lock whatever is stored, and stores the value. It
// waits for the lock no longer than [Config.Wait]; then, and when the fetch
// fails, the error says why and the stored value stays for [Cache.Peek].
func (c *Cache[V]) Refresh(ctx context.Context, key string, fetch func(context.Context) (V, error)) (V, error) {
	r, err := c.Do(ctx, Call[V]{Key: key, Fetch: fetch, Force: true})
	return r.Value, err
}

// Do is Lookup with every choice spelled out.
func (c *Cache[V]) Do(ctx context.Context, call Call[V]) (Result[V], error) {
	if !call.Force {
		at := now()
		e, due := c.current(call.Key, at)
		if e != nil && !due {
			c.counts.hits.Add(1)
			return e.result(at), nil
		}
		call.early = due
	}
	return c.miss(ctx, call)
}

// miss is for what this process does not hold fresh.
func (c *Cache[V]) miss(ctx context.Context, call Call[V]) (Result[V], error) {
	call, err := c.prepare(ctx, call)
	if err != nil {
		return Result[V]{}, err
	}
	if call.Force || call.Serial {
		return c.serial(ctx, call)
	}
	return c.collapse(ctx, call)
}

// prepare refuses bad calls and fills in defaults.
func (c *Cache[V]) prepare(ctx context.Context, call Call[V]) (Call[V], error) {
	switch {
	case call.Key == "":
		return call, call.failure(fmt.Errorf("%w: empty key", ErrInvalid))
	case call.Fetch == nil:
		return call, call.failure(fmt.Errorf("%w: nil fetch", ErrInvalid))
	case ctx.Err() != nil:
		return call, call.failure(context.Cause(ctx))
	case c.ctx.Err() != nil:
		return call, call.failure(ErrClosed)
	}
	call.Contention = cmp.Or(call.Contention, c.cfg.Contention)
	call.Wait = max(cmp.Or(call.Wait, c.cfg.Wait), 0)
	call.Serial = call.Serial || c.cfg.Fresh == 0
	if call.Lock == "" {
		call.Lock = "cache:" + c.cfg.Namespace + ":" + call.Key
	}
	return call, nil
}

// current is the fresh value in memory and whether XFetch wants it refreshed.
func (c *Cache[V]) current(key string, at int64) (e *entry[V], due bool) {
	if c.near == nil {
		return nil, false
	}
	payload, ok := c.near.load(key, at)
	return c.freshOf(payload, ok, at)
}

// freshOf is the fresh value a payload is, if it is one and known to be current.
func (c *Cache[V]) freshOf(payload any, current bool, at int64) (e *entry[V], due bool) {
	if !current {
		return nil, false
	}
	e, ok := payload.(*entry[V])
	if !ok || e.kind != kindValue || at >= e.fresh {
		return nil, false
	}
	return e, e.dueEarly(at, c.cfg.EarlyBeta)
}

// Peek returns what is stored, fresh or stale, without fetching. It asks the
// shared store when memory does not know, and reports false when there is
// nothing or the store failed. A fetch that peeks at its own key, with its own
// context, learns what its lookup has found already, and asks nobody.
func (c *Cache[V]) Peek(ctx context.Context, key string) (Result[V], bool) {
	seen, known := c.priorTo(ctx, key)
	var err error
	if !known {
		seen, err = c.glance(ctx, key)
	}
	e, at := seen.e, now() // and not before the store was asked, which may take long
	if err != nil || e == nil || e.kind != kindValue || !(e.isFresh(at) || e.standsInForError(at)) {
		return Result[V]{}, false
	}
	return e.result(at), true
}

// Memoize turns fetch into a function that is looked up by its argument.
func Memoize[A, V any](c *Cache[V], key func(A) (string, error), fetch func(context.Context, A) (V, error)) func(context.Context, A) (V, error) {
	return func(ctx context.Context, arg A) (V, error) {
		k, err := key(arg)
		if err != nil {
			var zero V
			return zero, err
		}
		if r, ok := c.Hit(k); ok {
			return r.Value, nil
		}
		return c.Get(ctx, k, func(ctx context.Context) (V, error) { return fetch(ctx, arg) })
	}
}

// drainTime is how long Close lets fetches and refreshes finish by themselves.
const drainTime = 5 * time.Second

// Close refuses new calls and waits for the fetches under way: 5 seconds for
// them to finish, then, their contexts cancelled with cause ErrClosed, as long
// again. A fetch that ignores its context for longer is named in the error. The
// Locks and the Store stay open: they are the caller's.
func (c *Cache[V]) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	done := make(chan struct{})
	go func() { c.running.Wait(); close(done) }()
	defer c.news.close()
	select {
	case <-done:
		c.cancel(ErrClosed)
		return nil
	case <-time.After(drainTime):
	}
	c.cancel(ErrClosed)
	select {
	case <-done:
		return nil
	case <-time.After(drainTime):
		return &Error{Op: "close", Err: errors.New("fetches that ignore their context are still running")}
	}
}
