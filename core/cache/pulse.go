package cache

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// pulse finds out that a subscription has gone deaf: its connection is dead, or is
// to a server on which nobody publishes any more. A master that Sentinel replaces
// in good order keeps its subscribers, and answers them, until it is told half a
// minute later.
//
// A connection that is silent for a heartbeat is asked, and given another to
// answer. And every heartbeat something is published the way that everybody's
// notices go: it counts as unheard when it was confirmed a heartbeat ago, so that a
// client with no connection to spare makes nobody deaf.
type pulse struct {
	sub subscription

	last   time.Time // when something was received
	asked  bool      // and nothing since the question
	beatAt time.Time // when the last heartbeat was due
	sent   uint64    // heartbeats
	heard  uint64    // the last one that came back

	busy      atomic.Bool  // one is being sent: there is one at a time
	confirmed atomic.Int64 // when the server had the last one; 0 until then
}

func newPulse(sub subscription) *pulse {
	return &pulse{sub: sub, last: time.Now(), beatAt: time.Now()}
}

// received notes a sign of life.
func (p *pulse) received() { p.last, p.asked = time.Now(), false }

// hears takes a heartbeat that came back.
func (p *pulse) hears(text string) {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		p.heard = n
	}
}

// unheard is when the last heartbeat counts as lost; never while it is not known
// to have been published.
func (p *pulse) unheard() (at time.Time, ok bool) {
	confirmed := p.confirmed.Load()
	if confirmed == 0 || p.heard >= p.sent {
		return at, false
	}
	return time.Now().Add(heartbeat - time.Duration(now()-confirmed)), true
}

// wait is how long there is nothing to be done unless something is received.
func (p *pulse) wait() time.Duration {
	next := p.beatAt.Add(heartbeat)
	silent := p.last.Add(heartbeat)
	if p.asked {
		silent = silent.Add(heartbeat)
	}
	if silent.Before(next) {
		next = silent
	}
	if at, ok := p.unheard(); ok && at.Before(next) {
		next = at
	}
	return max(time.Until(next), time.Millisecond)
}

// alive asks what is due, and reports false for a subscription that is deaf.
func (p *pulse) alive(ctx context.Context, ps *redis.PubSub) bool {
	if at, ok := p.unheard(); ok && !time.Now().Before(at) {
		return false
	}
	switch silent := time.Since(p.last); {
	case silent >= 2*heartbeat && p.asked:
		return false
	case silent >= heartbeat && !p.asked:
		p.asked = true
		if ps.Ping(ctx) != nil {
			return false
		}
	}
	if time.Since(p.beatAt) < heartbeat {
		return true
	}
	p.beatAt = time.Now()
	p.beat(ctx)
	return p.sub.settle(ctx) == nil
}

// beat sends a heartbeat, from a goroutine that ends with it: within a second, or
// when the client gives up that does not heed contexts.
func (p *pulse) beat(ctx context.Context) {
	if _, open := p.unheard(); open || p.sub.publish == nil || p.busy.Swap(true) {
		return
	}
	p.sent++
	p.confirmed.Store(0)
	text := strconv.FormatUint(p.sent, 10)
	go func() {
		defer p.busy.Store(false)
		ctx, cancel := context.WithTimeout(ctx, heartbeat)
		defer cancel()
		if p.sub.publish(ctx, text) == nil {
			p.confirmed.Store(now())
		}
	}()
}
