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
// clocks of the hosts say: ages are counted by the store that expires it.
//
// # What it cannot promise
//
// A purge is at once in the purging process and one Pub/Sub message later in the
// others; see [Tiered] for the bound when messages are lost. A value that was
// handed out before a purge is out. A Redis that loses its data forgets purge
// generations along with the values; a fetch begun before the loss is then not
// stored, because its generation is gone.
//
// # Values are shared
//
// The same value, not a copy, goes to every caller of a process. Treat what it
// points to as read-only.
package cache
