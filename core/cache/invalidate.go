package cache

import "context"

// Invalidate purges keys. When it returns nil no caller of this process gets a
// value made before the call, callers in other processes get none from one
// message later on (see [Tiered]), and fetches that were under way do not store
// theirs. On an error only this process' memory is sure to have let go of the value,
// which the store may still give to anybody, this process included: repeat the purge.
func (c *Cache[V]) Invalidate(ctx context.Context, keys ...string) error {
	var err error
	if c.far != nil && len(keys) > 0 {
		stored := make([]string, len(keys))
		for i, key := range keys {
			stored[i] = c.storeKey(key)
		}
		err = c.far.delete(ctx, stored...)
	}
	for _, key := range keys {
		c.dropLocal(key)
	}
	c.counts.purges.Add(uint64(len(keys)))
	if err != nil {
		return &Error{Op: "invalidate", Err: err}
	}
	return nil
}

// InvalidateTag purges every value with one of the tags, as Invalidate does for
// keys. Tags share a fixed number of counters, so a few values with other tags
// may be purged along with them.
func (c *Cache[V]) InvalidateTag(ctx context.Context, tags ...string) error {
	var err error
	stored := c.storeTags(tags)
	if c.far != nil && len(tags) > 0 {
		err = c.far.deleteTags(ctx, stored...)
	}
	c.dropTagsLocal(stored)
	c.counts.purges.Add(uint64(len(tags)))
	if err != nil {
		return &Error{Op: "invalidate", Err: err}
	}
	return nil
}

// dropLocal purges a key in this process. Callers from now on must not join a
// fetch that began before.
func (c *Cache[V]) dropLocal(key string) {
	if c.near != nil {
		c.near.drop(key)
	}
	c.mu.Lock()
	delete(c.flights, key)
	delete(c.cooling, key)
	c.mu.Unlock()
}

// dropTagsLocal takes tags as the stores know them. It cannot know the tags of values being made, so it leaves no
// fetch to be joined.
func (c *Cache[V]) dropTagsLocal(tags []string) {
	if c.near != nil {
		c.near.dropTags(tags)
	}
	c.forgetFlights()
}

// forgetFlights lets nobody join what is under way.
func (c *Cache[V]) forgetFlights() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.flights)
}
