package cache

import (
	"context"
	"time"
)

// Call is one lookup written out. Key and Fetch are required; the zero value of
// everything else is what [Cache.Lookup] does.
type Call[V any] struct {
	Key string

	// Fetch makes the value. Its context carries the caller's values and the lock
	// ([core.FromContext]) and is cancelled with cause [core.ErrLost] when the
	// lease is lost. It is NOT cancelled when the caller goes away while others
	// wait for the value.
	Fetch func(context.Context) (V, error)

	// Inline runs Fetch on the caller's own goroutine, for a fetch that writes to
	// something only the caller owns, such as a live response. A panic or Goexit
	// of Fetch then unwinds through the caller, after everybody who waited has
	// been resolved and the lock released. When the caller's context ends, Fetch
	// is cancelled unless somebody waits for its value.
	//
	// Without Inline, Fetch runs on a goroutine of the Cache and runs to its end
	// even if everybody has left, so that slow values reach the store; the
	// caller that started it gets its panic all the same.
	Inline bool

	// Background makes the value of a refresh after a stale one was served, on a
	// goroutine of the Cache. Nil means Fetch; with Inline, nil means that the
	// caller who gets the lock refreshes in the foreground, and the others get
	// the stale value.
	Background func(context.Context) (V, error)

	// Lock names the lock. Default: one made from the namespace and the key.
	// Calls of different keys may share a lock; they then take turns.
	Lock string

	// Contention overrides [Config.Contention].
	Contention Contention

	// Wait overrides [Config.Wait]: how long the call waits for the fetch or the
	// lock of another one. Negative: not at all. It does not limit the call's own
	// fetch.
	Wait time.Duration

	// Force fetches whatever is stored, and shares neither its own fetch nor
	// another one's.
	Force bool

	// Serial runs calls of the lock one at a time: each one fetches, unless a
	// stored value is fresh when its turn comes. It is how every call behaves
	// when [Config.Fresh] is 0.
	Serial bool

	early bool // XFetch has drawn a refresh
}

// failure is why as the caller gets to see it.
func (c *Call[V]) failure(why error) *Error {
	op := "lookup"
	if c.Force {
		op = "refresh"
	}
	return &Error{op, c.Key, why}
}
