package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/internal/acquisition"
)

// turn is the right to fetch.
type turn struct {
	name   string
	lock   *core.Lock // nil: there is no Manager, or it is down and the Cache fails open
	cancel context.CancelCauseFunc
	local  *localLocks // of a Cache without a Manager
	free   func()      // the local lock
	waited bool
	told   bool // a fill has been announced
	strict bool // an error is the answer, whatever is stored

	declined bool // the fetch gave it back; see Decline
}

func (t *turn) fence() uint64 {
	if t.lock == nil {
		return 0
	}
	return t.lock.FencingToken()
}

// lost reports whether the lock that the turn began with is over.
func (t *turn) lost() bool {
	return t.lock != nil && (t.lock.Context().Err() != nil || !time.Now().Before(t.lock.Until()))
}

// leased is ctx for what may only be done while the lock is held.
func (t *turn) leased(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.lock == nil {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, t.lock.Until())
}

// context is the lock's, or without one made of the fallback.
func (t *turn) context(fallback context.Context) context.Context {
	switch {
	case t.lock != nil:
		return t.lock.Context()
	case t.local != nil:
		return t.local.under(fallback, t.name)
	}
	return fallback
}

// tentative: who finds the lock taken waits for the fill, or has a stale value.
func tentative(s *acquisition.Settings) { s.Tentative = true }

// try takes the lock if it is free.
func (c *Cache[V]) try(ctx context.Context, t *turn) (err error) {
	if c.cfg.Locks == nil {
		return c.takeLocal(ctx, t, 0)
	}
	opts := append(c.cfg.lockOptions(), tentative)
	t.lock, err = c.cfg.Locks.TryAcquire(ctx, t.name, opts...)
	return err
}

// take waits for the lock.
func (c *Cache[V]) take(ctx context.Context, t *turn, wait time.Duration) (err error) {
	if c.cfg.Locks == nil {
		return c.takeLocal(ctx, t, wait)
	}
	opts := append(c.cfg.lockOptions(), core.WithWait(wait))
	t.lock, err = c.cfg.Locks.Acquire(ctx, t.name, opts...)
	return err
}

func (c *Cache[V]) takeLocal(ctx context.Context, t *turn, wait time.Duration) (err error) {
	if t.free, err = c.local.acquire(ctx, t.name, wait); err == nil {
		t.local = &c.local
	}
	return err
}

// defaultPatience is how long a contender that was refused relies on being told
// of the fill before it queues for the lock itself: most fetches are over by then,
// and standing in the queue costs every contender several commands.
const defaultPatience = time.Second

// errNews ends a wait in the lock's queue: its holder has filled a value.
var errNews = errors.New("a value was filled")

// contend waits for the lock, or for a fill that makes it unnecessary. A zero
// outcome means that the turn is the flight's.
func (c *Cache[V]) contend(f *flight[V], try bool) (turn, outcome[V]) {
	t := turn{name: f.call.Lock}
	if c.cfg.Locks == nil {
		return t, c.afterContest(f, c.contendLocally(f, &t, try))
	}
	for {
		heard, stop := c.news.watch(f.call.Lock)
		err := c.takeTurn(f, &t, try, heard)
		stop()
		if !errors.Is(err, errNews) {
			return t, c.afterContest(f, err)
		}
		t.waited = true
		seen, err := c.lookAgain(f.ctx, f.call.Key)
		if err != nil {
			return t, failed[V](f.call.failure(err))
		}
		if out := c.answer(&f.call, seen.e); out.end != 0 {
			return t, asShared(out, true)
		}
	}
}

func (c *Cache[V]) contendLocally(f *flight[V], t *turn, try bool) error {
	err := c.try(f.ctx, t)
	if try || err == nil || !contended(err) {
		return err
	}
	t.waited = true
	close(f.contested)
	return c.take(f.ctx, t, c.endurance(f))
}

// takeTurn tries the lock once, then waits to be told of a fill, then queues.
func (c *Cache[V]) takeTurn(f *flight[V], t *turn, try bool, heard <-chan struct{}) error {
	if !t.waited {
		if err := c.try(f.ctx, t); err == nil || try || !contended(err) {
			return err
		}
		t.waited = true
		close(f.contested)
		if c.news.live() {
			timer := time.NewTimer(c.cfg.patience)
			defer timer.Stop()
			select {
			case <-heard:
				return errNews
			case <-f.ctx.Done():
				return context.Cause(f.ctx)
			case <-timer.C:
			}
		}
	}
	return c.queue(f, t, heard)
}

// queue stands in the lock's own queue until it has the lock or a fill is
// announced, whichever comes first.
func (c *Cache[V]) queue(f *flight[V], t *turn, heard <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(f.ctx)
	var decided atomic.Bool // by the fill or by the lock
	left := make(chan struct{})
	defer close(left)
	go func() {
		select {
		case <-heard:
			if decided.CompareAndSwap(false, true) {
				cancel(errNews)
			}
		case <-left:
		}
	}()
	opts := append(c.cfg.lockOptions(), core.WithWait(c.endurance(f)))
	lock, err := c.cfg.Locks.Acquire(ctx, t.name, opts...)
	if decided.CompareAndSwap(false, true) {
		if err != nil {
			cancel(err)
			return err
		}
		t.lock, t.cancel = lock, cancel
		return nil
	}
	if err == nil {
		_ = lock.Release(context.WithoutCancel(ctx)) // its context is cancelled already
	}
	return errNews
}

// endurance is how long a flight queues at most. Its callers leave before that,
// each at the end of its own wait.
func (c *Cache[V]) endurance(f *flight[V]) time.Duration { return max(c.cfg.MaxHold, f.call.Wait) }

// contended tells a lock that somebody has, or may have, from a lock service
// that is down. An error that is both, such as a vote split between two callers
// while a node is dead, is no licence to fetch beside the other caller.
func contended(err error) bool { return errors.Is(err, core.ErrNotAcquired) }

// afterContest is what becomes of a flight that got no lock.
//
//	the flight was given up      those who joined look again
//	taken, and only tried        the leader has its stale value; the others look again
//	the leader holds the lock    ErrDeadlock for it; the others look again
//	locks down, FailOpen         fetch without the lock
//	locks down, FailClosed       stale-if-error, or the error
func (c *Cache[V]) afterContest(f *flight[V], err error) outcome[V] {
	switch {
	case err == nil:
		return outcome[V]{}
	case f.ctx.Err() != nil && errors.Is(context.Cause(f.ctx), ErrClosed):
		return failed[V](f.call.failure(ErrClosed))
	case f.ctx.Err() != nil, contended(err):
		return outcome[V]{end: retry}
	}
	return c.lockFailure(&f.call, err, f.stored().e)
}

// lockFailure is a call's outcome when the lock service does not serve it.
func (c *Cache[V]) lockFailure(call *Call[V], err error, e *entry[V]) outcome[V] {
	if errors.Is(err, core.ErrDeadlock) || errors.Is(err, core.ErrInvalid) {
		out := failed[V](call.failure(err))
		out.mine = true
		return out
	}
	c.counts.lockErrors.Add(1)
	if c.cfg.OnLockFailure == FailOpen {
		c.cfg.Logger.Debug("dlm/cache: fetch without the lock", "key", call.Key, "err", err)
		return outcome[V]{}
	}
	if e.standsInForError(now()) {
		return c.serveStale(e, err)
	}
	return failed[V](call.failure(err))
}

// endTurn frees the lock and, if nothing was announced with a fill, tells those
// who wait for one to look for themselves.
func (c *Cache[V]) endTurn(ctx context.Context, t *turn) {
	if t.local != nil {
		t.local = nil
		t.free()
	}
	if t.lock == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := t.lock.Release(ctx); err != nil && !errors.Is(err, core.ErrExpired) {
		c.cfg.Logger.Debug("dlm/cache: release", "lock", t.name, "err", err)
	}
	if t.cancel != nil {
		t.cancel(errLanded)
	}
	if !t.told {
		c.news.tell(ctx, t.name)
	}
}
