package cache

import "sync/atomic"

// Stats are counters since New, and gauges where said.
type Stats struct {
	Hits        uint64 // calls served fresh
	Stale       uint64 // calls served stale
	Negative    uint64 // calls given a remembered error
	Shared      uint64 // calls given the value of another call's fetch in this process
	Fetches     uint64
	FetchErrors uint64 // of Fetches
	Panics      uint64 // of Fetches
	Direct      uint64 // of Fetches: without lock or sharing
	Refreshes   uint64 // background refreshes begun
	Dropped     uint64 // background refreshes that found no room
	Refused     uint64 // calls refused at the end of their wait
	Fenced      uint64 // values not stored because of a purge or a later fill, or because they came too late
	Unguarded   uint64 // values not stored because the lock was not held
	Unstorable  uint64 // values not stored because of their size or encoding
	Corrupt     uint64 // stored entries that could not be read, taken for misses
	StoreErrors uint64
	LockErrors  uint64
	Purges      uint64 // keys and tags invalidated through this Cache
	InFlight    int    // gauge: keys being looked up or fetched now
	Background  int    // gauge: background refreshes under way
	Coherent    bool   // gauge: change notices of other processes arrive
}

type counters struct {
	hits, stale, negative, shared, fetches, fetchErrors, panics, direct, refreshes, dropped, refused,
	fenced, unguarded, unstorable, corrupt, storeErrors, lockErrors, purges atomic.Uint64
}

// Stats returns the counters.
func (c *Cache[V]) Stats() Stats {
	n := &c.counts
	c.mu.Lock()
	flying := len(c.flights)
	c.mu.Unlock()
	return Stats{
		Hits: n.hits.Load(), Stale: n.stale.Load(), Negative: n.negative.Load(), Shared: n.shared.Load(),
		Fetches: n.fetches.Load(), FetchErrors: n.fetchErrors.Load(), Panics: n.panics.Load(), Direct: n.direct.Load(),
		Refreshes: n.refreshes.Load(), Dropped: n.dropped.Load(), Refused: n.refused.Load(),
		Fenced: n.fenced.Load(), Unguarded: n.unguarded.Load(), Unstorable: n.unstorable.Load(),
		Corrupt: n.corrupt.Load(), StoreErrors: n.storeErrors.Load(), LockErrors: n.lockErrors.Load(),
		Purges: n.purges.Load(), InFlight: flying, Background: len(c.slots), Coherent: c.news.live(),
	}
}
