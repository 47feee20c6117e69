// Package cache keeps values so that one caller in the whole fleet makes each of
// them: a fresh value is served from memory, a stale one stands in while it is
// refreshed, and what is missing is fetched once, under a lock of package core,
// for everybody who waits.
//
// # What a caller can rely on
//
// While the lock service is healthy at most one fetch per key is under way in
// the fleet, except for keys whose values say that they cannot be shared
// ([Policy.NoStore]) and calls that ask for it ([Config.DirectFetch]). A caller
// that goes away fails nobody else: the fetch goes on for those who wait. A
// fetch that panics resolves everybody. A process that dies is replaced when its
// lock expires.
//
// Nothing is stored unless the lock was held at that moment, the value may be
// shared, and neither its key nor one of its tags was purged since before the
// fetch began. No value is served beyond its fresh and stale time, whatever the
// clocks of the hosts say: ages are counted by the store that expires it, and go on
// while its answer, or a value to be stored, is on its way. A fill that reaches its
// server only when nobody waits for it any more, or when the lease of its lock has
// ended, is not stored.
//
// # What it cannot promise
//
// A purge is at once in the purging process and one Pub/Sub message later in the
// others; see [Tiered] for the bound when messages are lost. A value that was
// handed out before a purge is out. A Redis that loses its data forgets purge
// generations along with the values; a fetch begun before the loss is then not
// stored, because its generation is gone.
//
// # From the Python system
//
// Every snippet of its README that is about caching, and the example that ports it:
//
//	Cache Stampede Protection: protect_cache_stampede(cache_key, data_fetcher, …)   Cache.Get
//	Decorator Usage: @cache_stampede_protect("expensive_query_{symbol}")           Memoize
//	Basic Usage, Lock with Stale Data Fallback: get_lock(…, return_stale, stale_ttl) Cache.Lookup
//	SWR Integration: refresh_with_lock, else _get_stale_data(key, 300)             Cache.Refresh
//	Graceful Degradation: stale data, as a last resort a direct fetch              Config (DirectFetch)
//	Stale Data Strategy: is_stale_acceptable(stale_data)                           Cache.Lookup (StaleStrategy)
//	Tiered Cache Integration: TieredCacheManager before protect_cache_stampede     NewTiered
//	SWR Pattern: create_task(refresh_with_lock), the stale data at once            Config (StaleWhileRevalidate)
//	Lock Manager Statistics: get_statistics()["stale_data_cache_size"]             Memory.Usage
//
// and, of what its classes offer beside the README, clear_stale_cache is
// Cache.Invalidate, and get_stale_data Cache.Peek.
//
// # Values are shared
//
// The same value, not a copy, goes to every caller of a process. Treat what it
// points to as read-only.
package cache
