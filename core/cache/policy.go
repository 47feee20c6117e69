package cache

import "time"

// Policy is how long one value may be used, and by whom.
type Policy struct {
	// Fresh is how long the value is served without asking again. 0: never.
	Fresh time.Duration
	// Stale is how long after Fresh the value may stand in while one caller
	// refreshes it (stale-while-revalidate, RFC 5861 section 3).
	Stale time.Duration
	// StaleIfError is how long after Fresh the value may stand in for a fetch
	// that failed (stale-if-error, RFC 5861 section 4). Stale covers errors too;
	// the longer of the two counts.
	StaleIfError time.Duration
	// NoStore delivers the value to the caller whose fetch made it and to nobody
	// else: it is neither stored nor shared, and whoever waited for it runs a
	// fetch of its own, all at once.
	NoStore bool
	// HitForMiss, with NoStore, remembers for this long that the key cannot be
	// cached: its callers then fetch in parallel, without lock and without
	// waiting for each other. 0: not remembered.
	HitForMiss time.Duration
	// Tags are what InvalidateTag finds the value by.
	Tags []string
}

// Policied is a value that decides its own Policy; what [Config] says does not
// apply to it. CachePolicy is called once, after the fetch that made the value.
type Policied interface{ CachePolicy() Policy }

// Sized is a value that knows its size in memory, in bytes. It is asked once,
// when the value enters a [Memory]; others count with their encoded length.
type Sized interface{ CacheSize() int }

// Contention is what a caller gets while another one fetches its key.
type Contention uint8

const (
	// StaleFirst gives the stale value at once where there is one. Without one,
	// the caller waits for the fetch and is refused at the end of its wait.
	StaleFirst Contention = iota + 1
	// FreshFirst waits for the fetch; at the end of its wait the caller gets the
	// stale value where there is one, else it is refused.
	FreshFirst
	// FreshOnly waits for the fetch and is refused at the end of its wait.
	FreshOnly
)

// Failure is what happens to a call when a service it needs is down.
type Failure uint8

const (
	// FailOpen carries on without the service. Without the locks the fetch runs
	// once per process and its value is delivered but not stored; without the
	// store every value is fetched, under the lock.
	FailOpen Failure = iota + 1
	// FailClosed refuses the call with the service's error.
	FailClosed
)
