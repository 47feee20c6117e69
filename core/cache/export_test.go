package cache

import (
	"context"
	"time"
)

// Aboard is how many callers the key's flight has: those of a test arrive when
// they arrive, and it has to know.
func (c *Cache[V]) Aboard(key string) int {
	c.mu.Lock()
	f := c.flights[key]
	c.mu.Unlock()
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.callers
}

// Tables is how many keys the Cache remembers something of, outside its stores.
func (c *Cache[V]) Tables() int {
	c.mu.Lock()
	n := len(c.flights) + len(c.cooling)
	c.mu.Unlock()
	c.news.mu.Lock()
	n += len(c.news.watchers)
	c.news.mu.Unlock()
	c.local.mu.Lock()
	defer c.local.mu.Unlock()
	return n + len(c.local.known)
}

// WithPatience makes contenders rely on being told of a fill for so long.
func (c Config) WithPatience(d time.Duration) Config {
	c.patience = d
	return c
}

// Announce sends a change that names a lock, and Hear calls f with the lock of
// every change that has reached all followers of the Redis: they come in the order
// they were sent in, and each is for all followers before the next.
func (r *Redis) Announce(ctx context.Context, lock string) error { return r.announce(ctx, lock) }

func (r *Redis) Hear(f func(lock string)) (stop func()) {
	last := ""
	return r.follow(func(c change) { // calls do not overlap: there is one server
		if last != "" {
			f(last)
		}
		last = c.lock
	}, func(bool) {})
}

// Contested is closed when the flight under key, if there is one, finds its lock taken.
func (c *Cache[V]) Contested(key string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f.contested
	}
	return nil
}
