package guard

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// Guard takes requests through key, lock and handler. It is safe for
// concurrent use; one Guard may stand before any number of routes.
type Guard struct {
	settings
	queue queue
	cache *cache.Cache[*response] // nil for a Guard that only serializes

	replays *cache.Cache[*response] // nil without Idempotent

	store    cache.Store // of both; nil without them
	outcomes outcomes
	mistakes mistakes

	closing func() error // of the default store
	closed  sync.Once
}

// New returns a Guard, or an error that names every mistake in cfg.
func New(cfg Config) (*Guard, error) {
	s, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	g := &Guard{settings: s, queue: newQueue(s.MaxQueue), closing: func() error { return nil }}
	if err := g.open(); err != nil {
		return nil, fmt.Errorf("guard: invalid Config: %w", errors.Join(err, g.Close()))
	}
	return g, nil
}

// Close ends what the Guard runs in the background. It does not close the
// Manager.
func (g *Guard) Close() (err error) {
	g.closed.Do(func() {
		if g.cache != nil {
			err = g.cache.Close()
		}
		if g.replays != nil {
			err = errors.Join(err, g.replays.Close())
		}
		err = errors.Join(err, g.closing())
	})
	return err
}

// Serve answers r, by next or without it. It is what adapters call; programs
// use the Middleware and Wrap of an adapter.
//
// next runs the guarded handler, at most once, in the calling goroutine, with
// the writer and the request it must use: the writer is w itself unless the
// response has to be captured, and the request carries the lock's context.
// What next returns, Serve returns. Where next returns an error without having
// answered, or has not answered by the end of its context, nobody has: that is left to
// the caller, and nothing is stored. A *[Refusal] returned by Serve is a request
// that nobody has answered yet: see [WriteRefusal]. A panic of next passes
// through, with the lock released.
func (g *Guard) Serve(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request) error) error {
	if g.Idempotent != nil {
		behind := handingBack(r, func(w http.ResponseWriter, r *http.Request) error { return g.serve(w, r, next) })
		if done, err := g.idempotent(w, r, behind); done {
			return err
		}
	}
	return g.serve(w, r, next)
}

func (g *Guard) serve(w http.ResponseWriter, r *http.Request, next handler) error {
	if g.Key == nil {
		return next(w, r)
	}
	key, err := g.keyOf(r)
	if err != nil {
		return g.refuseKey(r, err)
	}
	if g.hit(w, r, key) {
		return nil
	}
	return g.miss(w, r, key, next)
}

// miss answers what [Guard.hit] did not.
func (g *Guard) miss(w http.ResponseWriter, r *http.Request, key string, next handler) error {
	n, next := names{key: key, lock: g.lockName(r, key)}, handingBack(r, next)
	if g.cache == nil {
		return g.serialize(w, r, n.lock, next)
	}
	if done, err := g.arrived(w, r, n, next); done {
		return err
	}
	if g.Fresh == 0 && g.bypass(r) != rfc9111.OK {
		if g.policy.Bypass(r.Method, nil) == rfc9111.ReasonMethod {
			next = g.invalidating(next)
		}
		return g.serialize(w, r, n.lock, next)
	}
	return g.cached(w, r, n, next)
}
