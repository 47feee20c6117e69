package cache

import (
	"context"
	"errors"
	"time"
)

// sight is what a look into the stores found, and what a fill needs of it.
type sight[V any] struct {
	e      *entry[V] // nil: nothing usable
	near   mark
	remote string // the far store's Mark
	asked  bool   // the far store, if there is one, answered
}

// glance looks into memory, and behind it only if memory does not know.
func (c *Cache[V]) glance(ctx context.Context, key string) (sight[V], error) {
	if c.near != nil && c.far != nil {
		s := sight[V]{near: c.near.mark(key)}
		if payload, current := c.near.load(key, now()); current {
			if e, ok := payload.(*entry[V]); ok && now() < e.onErr {
				s.e = e
				return s, nil
			}
		}
	}
	return c.look(ctx, key)
}

// look asks the furthest store.
func (c *Cache[V]) look(ctx context.Context, key string) (sight[V], error) {
	return c.lookBy(ctx, key, (*boundStore).get)
}

// lookAgain is look for whoever has contended for the lock since.
func (c *Cache[V]) lookAgain(ctx context.Context, key string) (sight[V], error) {
	return c.lookBy(ctx, key, (*boundStore).recheck)
}

// lookBy asks the far store by get. While that fails, an entry in memory counts,
// unless the Cache is to fail closed.
func (c *Cache[V]) lookBy(ctx context.Context, key string, get func(*boundStore, context.Context, string) (Item, error)) (sight[V], error) {
	var s sight[V]
	if c.near != nil {
		s.near = c.near.mark(key)
		payload, _ := c.near.load(key, now())
		s.e, _ = payload.(*entry[V])
	}
	if c.far == nil {
		s.asked = true
		return s, nil
	}
	asked := now()
	item, err := get(c.far, ctx, c.storeKey(key))
	if err != nil {
		c.counts.storeErrors.Add(1)
		c.cfg.Logger.Debug("dlm/cache: store", "key", key, "err", err)
		if c.cfg.OnStoreFailure == FailClosed {
			return sight[V]{}, err
		}
		return s, nil
	}
	s.asked, s.remote, s.e = true, item.Mark, nil
	if item.Value != nil {
		s.e = c.decode(key, item, asked, s.near)
	}
	return s, nil
}

// forFetch is what a fetch that begins now needs of a sight.
func (c *Cache[V]) forFetch(ctx context.Context, key string, s sight[V]) sight[V] {
	if c.far == nil || !s.asked {
		return s
	}
	var err error
	if s.remote, err = c.far.firm(ctx, c.storeKey(key), s.remote); err != nil {
		c.counts.storeErrors.Add(1)
		s.asked = false
	}
	return s
}

// decode turns a stored item into an entry and keeps it in memory. What cannot
// be decoded is a miss.
func (c *Cache[V]) decode(key string, item Item, asked int64, at mark) *entry[V] {
	env, err := decodeEnvelope(item.Value, c.cfg.MaxValue)
	if err == nil && env.span.kind == kindValue && env.codec != c.cfg.Codec.Name() {
		err = errCorrupt
	}
	e := &entry[V]{}
	if err == nil {
		e, err = c.open(env, item, asked)
	}
	if err != nil {
		c.counts.corrupt.Add(1)
		return nil
	}
	e.fence = item.Fence
	if c.near != nil {
		c.near.admit(key, at, item.Tags, e, sizeOf(e.value, len(env.payload)))
	}
	return e
}

// open dates an entry from when the store was asked: its answer may have been on its
// way ever since.
func (c *Cache[V]) open(env envelope, item Item, asked int64) (*entry[V], error) {
	var v V
	age := max(env.span.lifetime()-item.TTL, 0) + time.Duration(now()-asked)
	switch env.span.kind {
	case kindNegative:
		named := c.recallError(env.payload)
		if named == nil {
			return nil, errCorrupt
		}
		return newEntry(env.span, v, named, age, 0), nil
	case kindValue:
		if err := c.cfg.Codec.Unmarshal(env.payload, &v); err != nil {
			return nil, errors.Join(errCorrupt, err)
		}
	}
	return newEntry(env.span, v, nil, age, c.cfg.EarlyBeta), nil
}

// storeKey is the key in the far store. The namespace holds no zero byte, so
// no two pairs share one.
func (c *Cache[V]) storeKey(key string) string { return c.cfg.Namespace + "\x00" + key }

// storeTags are tags in the far store, kept apart by namespace like keys.
func (c *Cache[V]) storeTags(tags []string) []string {
	out := make([]string, len(tags))
	for i, tag := range tags {
		out[i] = c.storeKey(tag)
	}
	return out
}

// sizeOf is what a value counts for in memory.
func sizeOf(v any, encoded int) int {
	switch v := v.(type) {
	case Sized:
		return v.CacheSize()
	case string:
		return len(v)
	case []byte:
		return cap(v)
	}
	return encoded
}
