package cache

import "time"

// State says where a value came from.
type State uint8

const (
	Fresh   State = iota + 1 // stored, within its freshness
	Stale                    // stored, past its freshness, within what its Policy allows
	Fetched                  // made by this call's own fetch
	Shared                   // made by the fetch of another call that this one waited for
)

// String names the state in lower case.
func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Fetched:
		return "fetched"
	case Shared:
		return "shared"
	}
	return "none"
}

// Result is a value and how it came about. Values that were stored or shared
// are seen by many callers at once: do not change what they point to.
type Result[V any] struct {
	Value V
	State State
	// Age is the time since the fetch that made the value ended.
	Age time.Duration
	// TTL is the freshness left; negative when stale.
	TTL time.Duration
	// Err is why a stale value was served where a fetched one was asked for: the
	// fetch's error, or the end of the wait. Nil otherwise.
	Err error
	// Stored: the fetched value is in the store now.
	Stored bool
	// Expired: a stored value existed but was not fresh, so the fetch was a
	// revalidation rather than a first load.
	Expired bool
	// Waited: the call queued behind the fetch or the lock of another one.
	Waited bool
}
