package guard

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/market-intel-brain/dlm/core/cache"
)

// Guard takes requests through key, lock and handler. It is safe for
// concurrent use; one Guard may stand before any number of routes.
type Guard struct {
	settings
	queue queue
	cache *cache.Cache[*response] // nil for a Guard that only serializes

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
	if config := g.cacheConfig(); config != nil {
		if config.Store == nil {
			config.Store, g.closing = defaultStore(s.Locks)
		}
		if g.cache, err = cache.New[*response](*config); err != nil {
			return nil, fmt.Errorf("guard: invalid Config: %w", errors.Join(err, g.closing()))
		}
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
// What next returns, Serve returns. A *[Refusal] returned by Serve is a request
// that nobody has answered yet: see [WriteRefusal]. A panic of next passes
// through, with the lock released.
func (g *Guard) Serve(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request) error) error {
	n, err := g.namesOf(r)
	if err != nil {
		return g.refuseKey(r, err)
	}
	if g.cache == nil {
		return g.serialize(w, r, n.lock, next)
	}
	if done, err := g.arrived(w, r, n, next); done {
		return err
	}
	if g.Fresh == 0 && !g.storable(r) {
		return g.serialize(w, r, n.lock, next)
	}
	return g.cached(w, r, n, next)
}
