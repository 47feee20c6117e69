package core

import (
	"context"
	"time"
)

// EventKind names what happened.
type EventKind uint8

// The events of a Manager.
const (
	EventAcquired   EventKind = iota + 1 // a lock was granted; Duration is the time waited
	EventRefused                         // an acquisition ended without the lock; Err says why, Duration is the time waited
	EventWaiting                         // a caller began to wait
	EventHandedOver                      // a lock went to the next local caller; Duration is the time waited
	EventRenewed                         // by Renew or Extend; automatic renewal is not told
	EventLost                            // a held lock can no longer be relied upon; Duration is the time held
	EventReleased                        // a lock was released; Duration is the time held
	EventNodeUp                          // a node answers and votes
	EventNodeDown                        // a node does not answer or does not vote; Err says why
)

// Event is one happening. Fields that do not apply are zero.
type Event struct {
	Kind         EventKind
	Key          string
	Owner        string
	Node         string // of node events
	FencingToken uint64
	Time         time.Time // when it happened, which is before it is told
	Duration     time.Duration
	Err          error
}

// Observer is told of events as they happen. Observe runs on the goroutine of
// the event, concurrently with others; it must return at once, and not call the
// Manager, which may be waiting for it.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// MultiObserver tells every one of them, in the order given. Nil ones are left
// out; MultiObserver of none is nil, which costs nothing.
func MultiObserver(observers ...Observer) Observer {
	var all multiObserver
	for _, o := range observers {
		if o != nil {
			all = append(all, o)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

type multiObserver []Observer

// Observe implements Observer.
func (all multiObserver) Observe(ctx context.Context, e Event) {
	for _, o := range all {
		o.Observe(ctx, e)
	}
}
