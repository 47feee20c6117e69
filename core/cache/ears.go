package cache

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ears listens to the channel for every Cache of this process that uses the
// store, on one connection: on a Ring, one to each shard, because a script
// publishes where its key lives. They listen while anybody follows.
type ears struct {
	r *Redis

	mu        sync.Mutex
	followers map[*follower]struct{} // guarded by mu
	up        map[string]bool        // guarded by mu; by shard
	stop      context.CancelFunc     // guarded by mu; nil while nobody follows
	done      chan struct{}          // guarded by mu; closed when the listeners have ended
}

type follower struct {
	hear func(change)
	live func(bool)
}

const (
	heartbeat    = time.Second // a silent connection is asked, and given as long to answer
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = time.Second
)

func (e *ears) init(r *Redis) {
	e.r, e.followers = r, map[*follower]struct{}{}
}

func (r *Redis) follow(hear func(change), live func(bool)) (stop func()) {
	e := &r.ears
	f := &follower{hear, live}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.followers[f] = struct{}{}
	if e.stop == nil {
		e.begin()
	} else if e.allUp() {
		live(true)
	}
	return func() { e.unfollow(f) }
}

// begin starts a listener per shard. The caller holds mu.
func (e *ears) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	e.stop, e.done, e.up = cancel, make(chan struct{}), map[string]bool{}
	var listeners sync.WaitGroup
	for shard, sub := range e.r.subscriptions() {
		e.up[shard] = false
		listeners.Go(func() { e.listen(ctx, shard, sub) })
	}
	done := e.done
	go func() { listeners.Wait(); close(done) }()
}

// unfollow ends the listeners with the last follower and waits for them.
func (e *ears) unfollow(f *follower) {
	e.mu.Lock()
	delete(e.followers, f)
	var done chan struct{}
	if len(e.followers) == 0 && e.stop != nil {
		e.stop()
		done, e.stop = e.done, nil
	}
	e.mu.Unlock()
	if done != nil {
		<-done
	}
}

// subscription is how to listen to a server, or to a deployment of several.
type subscription struct {
	// open subscribes, or fails while the server is down.
	open func(context.Context) (*redis.PubSub, error)
	// settle pays what the server owes.
	settle func(context.Context) error
	// publish sends a heartbeat. nil on a Cluster: its servers pass on to each other
	// what is published on any.
	publish func(ctx context.Context, text string) error
}

// pulseChannel is this store's own.
func (r *Redis) pulseChannel() string { return r.channel + ":" + r.origin }

func (r *Redis) subscriptions() map[string]subscription {
	if r.ring == nil {
		return map[string]subscription{"": r.onlySubscription()}
	}
	subs := map[string]subscription{}
	for name, addr := range r.ring.Options().Addrs {
		subs[name] = r.shardSubscription(addr)
	}
	return subs
}

func (r *Redis) onlySubscription() subscription {
	sub := subscription{
		open: func(ctx context.Context) (*redis.PubSub, error) {
			return r.client.Subscribe(ctx, r.channel, r.pulseChannel()), nil
		},
		settle: func(context.Context) error { return nil },
	}
	if r.onlyPlace().oneServer() {
		sub.publish = func(ctx context.Context, text string) error {
			return r.client.Publish(ctx, r.pulseChannel(), text).Err()
		}
	}
	return sub
}

func (r *Redis) shardSubscription(addr string) subscription {
	settled := func(ctx context.Context) (*redis.Client, error) {
		shard, err := r.shardAt(addr)
		if err != nil {
			return nil, err
		}
		return shard, r.placeOf(shard).settle(ctx)
	}
	return subscription{
		open: func(ctx context.Context) (*redis.PubSub, error) {
			shard, err := settled(ctx)
			if err != nil {
				return nil, err
			}
			return shard.Subscribe(ctx, r.channel, r.pulseChannel()), nil
		},
		settle: func(ctx context.Context) error { _, err := settled(ctx); return err },
		publish: func(ctx context.Context, text string) error {
			shard, err := r.shardAt(addr)
			if err != nil {
				return err
			}
			return shard.Publish(ctx, r.pulseChannel(), text).Err()
		},
	}
}

// listen stays subscribed until ctx ends.
func (e *ears) listen(ctx context.Context, shard string, sub subscription) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		if e.session(ctx, shard, sub) {
			backoff = firstBackoff
		}
		e.set(ctx, shard, false)
		e.r.reroute()
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// session lasts as long as one connection and reports whether it ever worked.
func (e *ears) session(ctx context.Context, shard string, sub subscription) (worked bool) {
	ps, err := sub.open(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = ps.Close() }()
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()
	p := newPulse(sub)
	for {
		wait := heartbeat
		if worked {
			wait = p.wait()
		}
		msg, err := ps.ReceiveTimeout(ctx, wait)
		timeout := net.Error(nil)
		switch {
		case err == nil:
			p.received()
		case !worked || !errors.As(err, &timeout) || !timeout.Timeout():
			return worked
		}
		switch msg := msg.(type) {
		case *redis.Subscription:
			if msg.Channel == e.r.channel {
				worked = true
				e.set(ctx, shard, true)
			}
		case *redis.Message:
			if msg.Channel != e.r.channel {
				p.hears(msg.Payload)
			} else {
				e.hear(msg.Payload)
			}
		}
		if worked && !p.alive(ctx, ps) {
			return worked
		}
	}
}

// set tells the followers when the last shard comes up or the first goes down.
func (e *ears) set(ctx context.Context, shard string, up bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return // ears that were stopped, maybe followed by others
	}
	before := e.allUp()
	e.up[shard] = up
	// A second subscription in one session means that a gap lies before it.
	if after := e.allUp(); after != before || after && up {
		for f := range e.followers {
			f.live(after)
		}
	}
}

// allUp is called with mu held.
func (e *ears) allUp() bool {
	for _, up := range e.up {
		if !up {
			return false
		}
	}
	return len(e.up) > 0
}

func (e *ears) hear(payload string) {
	c, ok := decodeChange(payload)
	if !ok {
		return
	}
	e.mu.Lock()
	followers := make([]*follower, 0, len(e.followers))
	for f := range e.followers {
		followers = append(followers, f)
	}
	e.mu.Unlock()
	for _, f := range followers {
		f.hear(c)
	}
}
