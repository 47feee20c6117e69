package core

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// bystander is a goroutine that does nothing but take naps: when it oversleeps,
// the machine stood still, for the processes of a soak as well.
type bystander struct {
	mu     sync.Mutex
	stalls []span // guarded by mu
}

const nap = 5 * time.Millisecond

// standBy begins to watch; the end of the test ends it.
func standBy(t *testing.T) *bystander { return standByUntil(t.Context()) }

// standByUntil watches until ctx ends.
func standByUntil(ctx context.Context) *bystander {
	b := &bystander{}
	go func() {
		for {
			asleep := monotonic()
			select {
			case <-ctx.Done():
				return
			case <-time.After(nap):
			}
			if woken := monotonic(); woken-asleep > 4*nap {
				b.mu.Lock()
				b.stalls = append(b.stalls, span{asleep + nap, woken})
				b.mu.Unlock()
			}
		}
	}()
	return b
}

// overslept is when the machine stood still until now.
func (b *bystander) overslept() []span {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.stalls)
}

// within is how much of s the stalls took.
func (s span) within(stalls []span) (d time.Duration) {
	for _, stall := range stalls {
		d += max(0, min(s.to, stall.to)-max(s.from, stall.from))
	}
	return d
}

// punctual is about a call that should have returned at the deadline: 100 ms are the
// machine's, as in a soak, and what it stood still.
func (b *bystander) punctual(deadline time.Duration) bool {
	late := span{deadline, monotonic()}
	return late.to-late.from-late.within(b.overslept()) < 100*time.Millisecond
}
