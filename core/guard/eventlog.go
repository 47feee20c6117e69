package guard

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// EventLog is a [core.Observer] that keeps the last refusals, losses and node
// changes for [DebugEvents]. It is bounded: the newest of each of the three push
// out the oldest, so a storm of refusals does not hide a loss. It is safe for
// concurrent use.
type EventLog struct {
	mu    sync.Mutex
	rings [3]ring // guarded by mu
}

const defaultEvents = 100

// NewEventLog keeps limit events of each kind; 0 or less: 100.
func NewEventLog(limit int) *EventLog {
	if limit <= 0 {
		limit = defaultEvents
	}
	log := &EventLog{}
	for i := range log.rings {
		log.rings[i].limit = limit
	}
	return log
}

// ring keeps its last events; next is the place of the oldest once it is full.
type ring struct {
	limit  int
	next   int
	events []core.Event
}

func (r *ring) add(e core.Event) {
	if len(r.events) < r.limit {
		r.events = append(r.events, e)
		return
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % r.limit
}

// Observe implements [core.Observer].
func (log *EventLog) Observe(_ context.Context, e core.Event) {
	kind := kindOf(e.Kind)
	if kind < 0 {
		return
	}
	if len(e.Key) > maxShown {
		e.Key = strings.Clone(e.Key[:maxShown+1]) // enough to be shown as cut off
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	log.rings[kind].add(e)
}

// kindOf is the ring of an event, -1 for what is not kept.
func kindOf(kind core.EventKind) int {
	switch kind {
	case core.EventLost:
		return 0
	case core.EventRefused:
		return 1
	case core.EventNodeUp, core.EventNodeDown:
		return 2
	}
	return -1
}

type debugEvent struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Key   string    `json:"key,omitempty"`
	Node  string    `json:"node,omitempty"`
	After float64   `json:"after_seconds"` // waited, or held
	Error string    `json:"error,omitempty"`
}

// Mood is the class of What on the page.
func (e debugEvent) Mood() string {
	switch e.What {
	case whatOf(core.EventNodeUp):
		return "good"
	case whatOf(core.EventRefused):
		return "warm"
	}
	return "bad"
}

// recent lists the newest first.
func (log *EventLog) recent(limit int) []debugEvent {
	log.mu.Lock()
	var all []core.Event
	for i := range log.rings {
		all = append(all, log.rings[i].events...)
	}
	log.mu.Unlock()
	slices.SortStableFunc(all, func(a, b core.Event) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Key, b.Key))
	})
	shown := make([]debugEvent, 0, min(limit, len(all)))
	for _, e := range all[:cap(shown)] {
		shown = append(shown, debugEvent{
			At: e.Time, What: whatOf(e.Kind), Key: showKey(e.Key), Node: e.Node,
			After: e.Duration.Seconds(), Error: textOf(e.Err),
		})
	}
	return shown
}

func whatOf(kind core.EventKind) string {
	switch kind {
	case core.EventLost:
		return "lost"
	case core.EventRefused:
		return "refused"
	case core.EventNodeUp:
		return "node up"
	}
	return "node down"
}
