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

// signal wakes one waiter; raising it twice is raising it once.
type signal chan struct{}

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// signals reuses signals. One may be put back only when nobody raises it any more.
type signals struct{ pool sync.Pool }

func (p *signals) get() signal {
	if s, ok := p.pool.Get().(signal); ok {
		return s
	}
	return make(signal, 1)
}

func (p *signals) put(s signal) {
	select {
	case <-s:
	default:
	}
	p.pool.Put(s) //nolint:staticcheck // a channel is a pointer
}

// put stops the timer; since Go 1.23 a stopped or reset timer's channel never
// delivers an earlier expiry.
func (p *timers) put(t *time.Timer) {
	t.Stop()
	p.pool.Put(t)
}
