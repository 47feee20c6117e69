package cache

import (
	"math"
	"math/rand/v2"
	"time"
)

// kind is what an entry stands for.
type kind uint8

const (
	kindValue       kind = iota // a value
	kindNegative                // a remembered error
	kindUncacheable             // a remembered "do not cache": fetch in parallel
)

// entry is one decoded thing in memory. It never changes once it is shared.
// Its times are on the process' monotonic clock, so a wall clock that is set
// back makes nothing young again.
type entry[V any] struct {
	kind  kind
	value V
	err   error         // of kindNegative
	delta time.Duration // how long the fetch took
	fence uint64        // of the lock it was made under; tells one fill from the next
	born  int64
	early int64 // from here on XFetch may ask for a refresh; math.MaxInt64: never
	fresh int64 // fresh before this
	stale int64 // may stand in before this
	onErr int64 // may stand in for an error before this
}

// start is the origin of the monotonic clock that entries are dated by.
var start = time.Now()

func now() int64 { return int64(time.Since(start)) }

// earlyReach is how many fetch times before its expiry XFetch can strike:
// -ln(rand) exceeds 10 once in 22 000 draws.
const earlyReach = 10

// span is what an entry is made of besides its value, as stored.
type span struct {
	kind                kind
	fresh, stale, onErr time.Duration // onErr >= stale
	delta               time.Duration
}

func (s span) lifetime() time.Duration { return s.fresh + max(s.stale, s.onErr) }

// newEntry dates a value that is age old.
func newEntry[V any](s span, value V, err error, age time.Duration, beta float64) *entry[V] {
	e := &entry[V]{kind: s.kind, value: value, err: err, delta: s.delta, early: math.MaxInt64}
	e.born = now() - int64(age)
	e.fresh = e.born + int64(s.fresh)
	e.stale = e.fresh + int64(s.stale)
	e.onErr = e.fresh + int64(max(s.stale, s.onErr))
	if beta > 0 && s.kind == kindValue {
		e.early = e.fresh - int64(float64(s.delta)*beta*earlyReach)
	}
	return e
}

// dueEarly draws whether a fresh entry should be refreshed now (XFetch).
func (e *entry[V]) dueEarly(at int64, beta float64) bool {
	return at >= e.early && float64(at)+float64(e.delta)*beta*rand.ExpFloat64() >= float64(e.fresh)
}

func (e *entry[V]) fencing() uint64 { return e.fence }

func (e *entry[V]) isFresh(at int64) bool { return e != nil && at < e.fresh }

// standsIn reports whether the entry is a value that may be served under
// contention; standsInForError, when a fetch failed.
func (e *entry[V]) standsIn(at int64) bool {
	return e != nil && e.kind == kindValue && at < e.stale
}

func (e *entry[V]) standsInForError(at int64) bool {
	return e != nil && e.kind == kindValue && at < e.onErr
}

// result is the entry as a caller sees it.
func (e *entry[V]) result(at int64) Result[V] {
	r := Result[V]{Value: e.value, State: Fresh, Age: time.Duration(at - e.born), TTL: time.Duration(e.fresh - at)}
	if at >= e.fresh {
		r.State = Stale
	}
	return r
}
