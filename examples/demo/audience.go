package main

import (
	"context"
	"sync"
)

// audience counts the pages that are open, so that nothing is done for nobody.
type audience struct {
	mu   sync.Mutex
	n    int           // guarded by mu
	here chan struct{} // closed while there is one. Guarded by mu
}

func newAudience() *audience { return &audience{here: make(chan struct{})} }

const maxAudience = 8

// enter reports whether there was room. Who enters must leave.
func (a *audience) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == maxAudience {
		return false
	}
	if a.n++; a.n == 1 {
		close(a.here)
	}
	return true
}

func (a *audience) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n--; a.n == 0 {
		a.here = make(chan struct{})
	}
}

// wait reports true once somebody looks on, false when ctx is over.
func (a *audience) wait(ctx context.Context) bool {
	a.mu.Lock()
	here := a.here
	a.mu.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-here:
		return ctx.Err() == nil
	}
}
