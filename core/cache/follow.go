package cache

import (
	"context"
	"strings"
)

// change is what a store announces to every process that uses it.
type change struct {
	origin string // the store instance that made it
	filled bool   // keys were filled; otherwise purged
	keys   []string
	tags   []string // purged
	lock   string   // a fetch under this lock ended
}

// announcer is a Store that tells of changes made through it anywhere.
type announcer interface {
	// follow calls hear for every change, and live when changes start to arrive
	// without a gap (true) or some may be missed (false). stop waits for the
	// last call to return.
	follow(hear func(change), live func(bool)) (stop func())
	announce(ctx context.Context, lock string) error
	id() string
}

// follow keeps this process up to date with a store that announces changes.
func (c *Cache[V]) follow(far Store) {
	a, ok := far.(announcer)
	if !ok {
		return
	}
	c.news.announce = func(ctx context.Context, lock string) error {
		return c.far.do(ctx, c.far.apart(newsServers), func(ctx context.Context) error { return a.announce(ctx, lock) })
	}
	c.news.stop = a.follow(
		func(ch change) { c.hear(ch, a.id()) },
		func(live bool) { // calls do not overlap
			c.news.on.Store(live)
			c.forgetFlights() // a purge may have been missed
			if c.near != nil {
				c.near.follow(live)
			}
		},
	)
}

// hear applies a change. A fill of this process is in its memory already, in
// the order of its lock; a purge is applied again, which is harmless.
func (c *Cache[V]) hear(ch change, self string) {
	prefix := c.storeKey("")
	for _, stored := range ch.keys {
		if key, ok := strings.CutPrefix(stored, prefix); ok && !(ch.filled && ch.origin == self) {
			c.changed(key, ch.filled)
		}
	}
	if len(ch.tags) > 0 {
		c.dropTagsLocal(ch.tags)
	}
	if ch.lock != "" {
		c.news.wake(ch.lock)
	}
}

// changed drops what memory holds. A fill elsewhere ends no fetch here: the
// fence decides between the two.
func (c *Cache[V]) changed(key string, filled bool) {
	if !filled {
		c.dropLocal(key)
	} else if c.near != nil {
		c.near.drop(key)
	}
}
