package guard

import (
	"context"
	"net/http"

	"github.com/market-intel-brain/dlm/core"
)

// serialize runs next while nobody else in the fleet runs under key. The
// writer is handed on as it is: whatever it can do, the handler can.
func (g *Guard) serialize(w http.ResponseWriter, r *http.Request, key string, next handler) error {
	readAhead(r, g.ReadAhead)
	lock, err := g.acquire(r.Context(), key)
	if err != nil {
		if g.OnUnavailable == FailOpen && r.Context().Err() == nil && unavailable(err) {
			return next(w, r)
		}
		return g.contended(w, r, g.refuseLock(r, err))
	}
	// The lock must go even if the client went first, or next panics.
	defer release(r.Context(), lock)
	return next(w, r.WithContext(lock.Context()))
}

func (g *Guard) acquire(ctx context.Context, key string) (*core.Lock, error) {
	if !g.queue.enter(key) {
		return nil, ErrQueueFull
	}
	defer g.queue.leave(key)
	return g.Locks.Acquire(ctx, key, g.lockOptions...)
}

// release ignores the error: a lock that was lost or could not be released
// ends with its lease, and the Manager's Observer and Stats have seen it.
func release(ctx context.Context, lock *core.Lock) {
	_ = lock.Release(context.WithoutCancel(ctx))
}
