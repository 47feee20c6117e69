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
//
// go-redis holds a lock of the subscription while it connects anew, for as long as
// the server lets it wait. So nobody asks anything of go-redis while mu is held, nor
// on a caller's goroutine.
type ear struct {
	n    *node
	ctx  context.Context // ends with the ear
	stop context.CancelFunc
	ends sync.WaitGroup // goroutines; Add under mu while not closed

	mu      sync.Mutex
	sub     *redis.PubSub // nil while nobody listens. Guarded by mu
	opening chan struct{} // closed when the attempt to open one is over; nil: none is under way. Guarded by mu
	gates   int           // waiting on it. Guarded by mu
	idle    *time.Timer   // closes an ear nobody needs. Guarded by mu
	failed  time.Time     // when it could not be opened. Guarded by mu
	closed  bool          // guarded by mu
}

func (e *ear) init(n *node) {
	e.n = n
	e.ctx, e.stop = context.WithCancel(context.Background())
}

// earLinger keeps a subscription for the next waiter.
const earLinger = 5 * time.Second

// home is the node where a key's waiters queue: the same for every process
// while it answers, the next one otherwise.
func (m *Manager) home(nm names, now time.Time) *node {
	for i := range m.nodes {
		n := m.nodes[(nm.bucket+i)%len(m.nodes)]
		if !n.away(now) {
			return n
		}
	}
	return m.nodes[nm.bucket%len(m.nodes)]
}

// listen registers the gate for wake-ups at its key's home, once, and again where
// that is away now. It reports whether the gate was not registered there before and
// is now.
func (m *Manager) listen(ctx context.Context, g *gate, end time.Time) bool {
	now := time.Now()
	if g.heard != nil && !g.heard.n.away(now) {
		return false
	}
	n := m.home(g.names, now)
	if g.heard == &n.ear {
		return false
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if !n.ear.open(ctx) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.heard != nil {
		g.heard.leave()
	} else {
		g.wake = make(signal, 1)
		m.ears[g.names.lock] = g
	}
	g.heard = &n.ear
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
	nobodys := debt{lock: lock, queue: m.queueOf(lock), owner: "-"}
	n.send(time.Now(), wire.Call{Req: n.releaseRequest(nobodys, ""), To: heardOf{}})
}

// open subscribes, unless that is done, and counts the caller in. An attempt that
// lasts longer than ctx is the next caller's.
func (e *ear) open(ctx context.Context) bool {
	joined, opening := e.join()
	if opening == nil {
		return joined
	}
	select {
	case <-opening:
		joined, _ = e.join()
		return joined
	case <-ctx.Done():
		return false
	case <-e.n.m.closing:
		return false
	}
}

// join counts the caller in if there is a subscription. Otherwise it returns what
// tells the end of the attempt to open one; nil when that is hopeless, since it
// failed a moment ago.
func (e *ear) join() (joined bool, opening <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return false, nil
	case e.sub != nil:
		e.gates++
		e.idle.Stop()
		return true, nil
	case e.opening == nil && time.Since(e.failed) < e.n.m.cfg.RetryDelay:
		return false, nil
	case e.opening == nil:
		e.opening = make(chan struct{})
		e.ends.Go(e.subscribe)
	}
	return false, e.opening
}

// subscribe waits for the server's confirmation: a process must not queue
// before it can be woken.
func (e *ear) subscribe() {
	ctx, cancel := context.WithTimeout(e.ctx, e.n.m.cfg.NodeTimeout)
	defer cancel()
	sub := e.n.pub.Subscribe(ctx, e.n.m.channelBase+e.n.m.id)
	_, err := sub.ReceiveTimeout(ctx, e.n.m.cfg.NodeTimeout)
	if err != nil || !e.opened(sub) {
		_ = sub.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.failed = time.Now()
	}
	close(e.opening)
	e.opening = nil
}

// opened begins to listen. Those who asked for it may have left meanwhile.
func (e *ear) opened(sub *redis.PubSub) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.sub = sub
	e.ends.Go(func() { e.hear(sub) })
	e.linger()
	return true
}

// hear wakes gates until the subscription is closed. go-redis reconnects and
// subscribes again by itself; what was published in between is lost, so then
// everybody looks for themselves.
func (e *ear) hear(sub *redis.PubSub) {
	for {
		msg, err := sub.Receive(e.ctx)
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
		case <-e.ctx.Done():
			return
		case <-time.After(min(e.n.m.cfg.RetryDelay, earPause)):
		}
	}
}

// earPause is the longest pause before a lost subscription is tried again.
const earPause = time.Second

func (e *ear) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gates--; e.gates == 0 && !e.closed {
		e.linger()
	}
}

// linger has the ear closed if nobody joins for a while. mu is held.
func (e *ear) linger() {
	if e.idle == nil {
		e.idle = time.AfterFunc(earLinger, e.hangUp)
		return
	}
	e.idle.Reset(earLinger)
}

func (e *ear) hangUp() {
	e.mu.Lock()
	sub := e.sub
	if e.gates > 0 || sub == nil || e.closed {
		e.mu.Unlock()
		return
	}
	e.sub = nil
	e.ends.Add(1)
	e.mu.Unlock()
	defer e.ends.Done()
	_ = sub.Close()
}

func (e *ear) close() {
	e.mu.Lock()
	e.closed = true
	sub := e.sub
	e.sub = nil
	if e.idle != nil {
		e.idle.Stop()
	}
	e.mu.Unlock()
	e.stop()
	if sub != nil {
		_ = sub.Close()
	}
	e.ends.Wait()
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

// wakeAll has every gate that listens here ask for itself.
func (m *Manager) wakeAll(e *ear) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.ears {
		if g.heard == e {
			g.wake.raise()
		}
	}
}
