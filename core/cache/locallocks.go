package cache

import (
	"context"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// localLocks exclude the callers of one Cache from each other that has no Manager
// to do it in the whole fleet.
type localLocks struct {
	mu    sync.Mutex
	known map[string]*localLock // guarded by mu; held or waited for
}

type localLock struct {
	held  chan struct{} // has room for the holder's token
	users int           // guarded by localLocks.mu; the holder and those who wait
}

// holding is the local locks that a context runs under.
type holding struct {
	locks *localLocks
	name  string
	outer *holding
}

type holdingKey struct{}

func holdingIn(ctx context.Context) *holding {
	h, _ := ctx.Value(holdingKey{}).(*holding)
	return h
}

// acquire waits for the lock no longer than wait, and for nothing when that is
// not positive. Its errors are those of a Manager.
func (l *localLocks) acquire(ctx context.Context, name string, wait time.Duration) (release func(), err error) {
	for h := holdingIn(ctx); h != nil; h = h.outer {
		if h.locks == l && h.name == name {
			return nil, core.ErrDeadlock
		}
	}
	lock := l.enter(name)
	if err := lock.take(ctx, wait); err != nil {
		l.leave(name, lock)
		return nil, err
	}
	return func() { <-lock.held; l.leave(name, lock) }, nil
}

// under is ctx for what runs under the lock.
func (l *localLocks) under(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, holdingKey{}, &holding{l, name, holdingIn(ctx)})
}

func (k *localLock) take(ctx context.Context, wait time.Duration) error {
	select {
	case k.held <- struct{}{}:
		return nil
	default:
	}
	if wait <= 0 {
		return core.ErrNotAcquired
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case k.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return core.ErrTimeout
	}
}

func (l *localLocks) enter(name string) *localLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = map[string]*localLock{}
	}
	lock := l.known[name]
	if lock == nil {
		lock = &localLock{held: make(chan struct{}, 1)}
		l.known[name] = lock
	}
	lock.users++
	return lock
}

func (l *localLocks) leave(name string, lock *localLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lock.users--; lock.users == 0 {
		delete(l.known, name)
	}
}
