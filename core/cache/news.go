package cache

import (
	"context"
	"sync"
	"sync/atomic"
)

// newsroom tells this process' contenders of fills and ends of fetches that
// stores announce.
type newsroom struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{} // guarded by mu; by lock name
	on       atomic.Bool                           // announcements arrive
	announce func(ctx context.Context, lock string) error
	stop     func()
}

func newNewsroom() *newsroom {
	return &newsroom{watchers: map[string]map[chan struct{}]struct{}{}}
}

// live reports whether a fill elsewhere would be heard of.
func (n *newsroom) live() bool { return n.on.Load() }

// watch returns a channel that receives once when a fetch under the lock ends.
func (n *newsroom) watch(lock string) (heard <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	set := n.watchers[lock]
	if set == nil {
		set = map[chan struct{}]struct{}{}
		n.watchers[lock] = set
	}
	set[ch] = struct{}{}
	return ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(set, ch)
		if len(set) == 0 {
			delete(n.watchers, lock)
		}
	}
}

// wake tells those who watch the lock.
func (n *newsroom) wake(lock string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ch := range n.watchers[lock] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// tell announces the end of a fetch that filled nothing. A lost announcement
// costs those who wait their patience, no more.
func (n *newsroom) tell(ctx context.Context, lock string) {
	if n.announce != nil && n.live() {
		_ = n.announce(ctx, lock)
	}
}

func (n *newsroom) close() {
	if n.stop != nil {
		n.stop()
	}
}
