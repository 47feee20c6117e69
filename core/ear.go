package core

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// ear is this process' subscription on one node: one channel for all keys,
// opened when a caller begins to wait and closed when none has waited for a
// while. The release script publishes the name of the lock that is free.
type ear struct {
	n *node

	opening chan struct{} // cap 1: one subscription is opened at a time; full while that waits for the server

	mu     sync.Mutex
	sub    *redis.PubSub // nil while nobody listens. Guarded by mu
	ended  chan struct{} // closed when the listening goroutine has ended. Guarded by mu
	gates  int           // waiting on it. Guarded by mu
	idle   *time.Timer   // closes an ear nobody needs. Guarded by mu
	failed time.Time     // when it could not be opened. Guarded by mu
	closed bool          // guarded by mu
}

// earLinger keeps a subscription for the next waiter.
const earLinger = 5 * time.Second

// listen registers the gate for wake-ups at its key's home. It reports whether
// the gate was not registered before and is now.
func (m *Manager) listen(ctx context.Context, g *gate, end time.Time) bool {
	if g.heard != nil {
		return false
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	n := m.home(g.names)
	if !n.ear.open(ctx) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g.heard, g.wake = &n.ear, make(signal, 1)
	m.ears[g.names.lock] = g
	return true
}

// mute ends the gate's registration. mu is held.
func (m *Manager) mute(g *gate) {
	if g.heard == nil {
		return
	}
	delete(m.ears, g.names.lock)
	g.heard.leave()
	select {
	case <-g.wake:
		m.pass(g.heard.n, g.names.lock) // a wake-up that came too late for everybody here
	default:
	}
	g.heard = nil
}

// pass gives a wake-up that nobody here needs to the next process in the queue,
// if the lock is still free: a release by nobody.
func (m *Manager) pass(n *node, lock string) {
	n.send(time.Now(), wire.Call{Req: m.releaseRequest(debt{lock: lock, queue: m.queueOf(lock), owner: "-"}, "", n.many), To: heardOf{}})
}

// open subscribes, unless that is done, and counts the caller in.
func (e *ear) open(ctx context.Context) bool {
	if joined, hopeless := e.join(nil); joined || hopeless {
		return joined
	}
	select {
	case e.opening <- struct{}{}:
		defer func() { <-e.opening }()
	case <-ctx.Done():
		return false
	}
	if joined, hopeless := e.join(nil); joined || hopeless {
		return joined
	}
	sub := e.subscribe(ctx)
	joined, _ := e.join(sub)
	return joined
}

// join counts the caller in if there is a subscription, which sub becomes when
// there was none. It is hopeless to open one when that failed a moment ago.
func (e *ear) join(sub *redis.PubSub) (joined, hopeless bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed && sub != nil:
		_ = sub.Close()
		return false, true
	case e.closed, e.sub == nil && time.Since(e.failed) < e.n.m.cfg.RetryDelay:
		return false, true
	case e.sub == nil && sub == nil:
		return false, false
	case e.sub == nil:
		e.sub, e.ended = sub, make(chan struct{})
		go e.hear(sub, e.ended)
	}
	e.gates++
	if e.idle != nil {
		e.idle.Stop()
	}
	return true, false
}

// subscribe waits for the server's confirmation: a process must not queue
// before it can be woken. It returns nil when that fails.
func (e *ear) subscribe(ctx context.Context) *redis.PubSub {
	ctx, cancel := context.WithTimeout(ctx, e.n.m.cfg.NodeTimeout)
	defer cancel()
	sub := e.n.pub.Subscribe(ctx, e.n.m.channelBase+e.n.m.id)
	if _, err := sub.ReceiveTimeout(ctx, e.n.m.cfg.NodeTimeout); err != nil {
		_ = sub.Close()
		e.mu.Lock()
		e.failed = time.Now()
		e.mu.Unlock()
		return nil
	}
	return sub
}

// hear wakes gates until the subscription is closed. go-redis reconnects and
// subscribes again by itself; what was published in between is lost, so then
// everybody looks for themselves.
func (e *ear) hear(sub *redis.PubSub, ended chan struct{}) {
	defer close(ended)
	for {
		msg, err := sub.Receive(context.Background())
		switch msg := msg.(type) {
		case *redis.Message:
			e.n.m.wake(e.n, msg.Payload)
		case *redis.Subscription:
			e.n.m.wakeAll(e)
		}
		if err == nil {
			continue
		}
		e.mu.Lock()
		over := e.sub != sub
		e.mu.Unlock()
		if over {
			return
		}
		select {
		case <-e.n.m.closing:
			return
		case <-time.After(e.n.m.cfg.RetryDelay):
		}
	}
}

func (e *ear) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gates--; e.gates > 0 || e.closed {
		return
	}
	if e.idle == nil {
		e.idle = time.AfterFunc(earLinger, e.hangUp)
		return
	}
	e.idle.Reset(earLinger)
}

func (e *ear) hangUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gates > 0 || e.sub == nil {
		return
	}
	sub := e.sub
	e.sub = nil
	_ = sub.Close()
}

func (e *ear) close() {
	e.mu.Lock()
	e.closed = true
	sub, ended := e.sub, e.ended
	e.sub = nil
	if e.idle != nil {
		e.idle.Stop()
	}
	e.mu.Unlock()
	if sub != nil {
		_ = sub.Close()
		<-ended
	}
}

// wake tells the gate of a freed lock, or passes the wake-up on when nobody
// waits for it here any more. What is no lock's name is nobody's.
func (m *Manager) wake(n *node, lock string) {
	if !m.isLock(lock) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.ears[lock]
	if g == nil {
		m.pass(n, lock)
		return
	}
	g.wake.raise()
}

// requeueName is this process' name if somebody here waits behind the holder,
// so that the release can put it at the end of Redis' queue.
func (m *Manager) requeueName(g *gate) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.head == nil || g.heard == nil {
		return ""
	}
	return m.id
}

func (m *Manager) wakeAll(e *ear) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.ears {
		if g.heard == e {
			g.wake.raise()
		}
	}
}
