package guard

import (
	"sync/atomic"

	"github.com/market-intel-brain/dlm/core/cache"
)

// outcomes count requests by how they were answered. The cache counts its
// lookups, of which a request takes several where a Vary tells responses apart.
type outcomes struct {
	hits, stale, collapsed, refused atomic.Uint64
}

// answered counts a response that can be shared. One that the request's own
// handler made is among the cache's Fetches.
func (o *outcomes) answered(from cache.State) {
	switch from {
	case cache.Fresh:
		o.hits.Add(1)
	case cache.Stale:
		o.stale.Add(1)
	case cache.Shared:
		o.collapsed.Add(1)
	}
}

// Stats counts what became of requests since New: Hits, Stale and Shared are
// requests answered with a stored response or with that of another request, and
// Refused are those that got neither a response nor the lock. The rest is told
// of the cache behind the Guard, Fetches being the runs of the handler for it.
// Of a Guard that only serializes, all but Refused is 0: its locks are in the
// Manager's Stats. Answers to a repeated Idempotency-Key are not counted.
//
// It is what [DebugCache] takes, and telemetry's WatchCache.
func (g *Guard) Stats() cache.Stats {
	var s cache.Stats
	if g.cache != nil {
		s = g.cache.Stats()
	}
	o := &g.outcomes
	s.Hits, s.Stale, s.Shared, s.Refused = o.hits.Load(), o.stale.Load(), o.collapsed.Load(), o.refused.Load()
	return s
}

// Usage says how full the memory is that the responses are kept in. It is zero
// without one: for a Guard that keeps none, and with a Config.Store that has no
// Usage method.
func (g *Guard) Usage() cache.Usage {
	if store, ok := g.store.(interface{ Usage() cache.Usage }); ok {
		return store.Usage()
	}
	return cache.Usage{}
}
