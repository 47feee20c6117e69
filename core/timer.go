package core

import (
	"sync"
	"time"
)

// timers reuses timers: every round needs one and almost none fires.
type timers struct{ pool sync.Pool }

func (p *timers) get(d time.Duration) *time.Timer {
	if t, ok := p.pool.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

// put stops the timer; since Go 1.23 a stopped or reset timer's channel never
// delivers an earlier expiry.
func (p *timers) put(t *time.Timer) {
	t.Stop()
	p.pool.Put(t)
}

// signal wakes one waiter; raising it twice is raising it once.
type signal chan struct{}

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// roused is what ended a wait for a signal.
type roused uint8

const (
	bySignal roused = iota
	byEnd
	byTimer
)

// await waits for the signal, or for one of the others, which may be nil.
func (s signal) await(end <-chan struct{}, timer <-chan time.Time) roused {
	select {
	case <-s:
		return bySignal
	case <-end:
		return byEnd
	case <-timer:
		return byTimer
	}
}

// lower forgets that it was raised.
func (s signal) lower() {
	select {
	case <-s:
	default:
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
