package cache

import (
	"context"
	"errors"
	"time"
)

// fill is something about to be stored.
type fill[V any] struct {
	span  span
	value V
	err   *NegativeError
	tags  []string
	made  int64 // its age counts from here, not from when a slow store has it
}

func newFill[V any](s span) fill[V] { return fill[V]{span: s, made: now()} }

// fill stores in the far store, then in memory, and reports whether it is
// stored. Nothing is stored without the lock that should guard it, after that
// lock was lost, or past a purge that came since seen.
func (c *Cache[V]) fill(ctx context.Context, key string, next fill[V], seen sight[V], turn *turn) bool {
	if !c.cfg.stores() || next.span.lifetime() < time.Millisecond || !c.mayStore(turn) {
		return false
	}
	payload, err := c.encode(next)
	if err != nil || len(payload) > c.cfg.MaxValue {
		c.counts.unstorable.Add(1)
		return false
	}
	if c.far != nil && seen.asked {
		item := Item{
			Tags: c.storeTags(next.tags), Mark: seen.remote, Fence: turn.fence(), Lock: turn.name,
			vital: c.cfg.OnStoreFailure == FailClosed, // who cannot do without gets nothing instead
		}
		item.Value = envelope{next.span, c.cfg.Codec.Name(), payload}.encode(c.cfg.CompressAbove)
		leased, cancel := turn.leased(context.WithoutCancel(ctx))
		defer cancel()
		if err := c.far.set(leased, c.storeKey(key), item, next.made+int64(next.span.lifetime())); err != nil {
			turn.told = !refused(err) // a store that does not answer announces nothing
			c.countFillError(err)
			c.keepUnconfirmed(err, key, next, seen.near, len(payload), turn)
			return false
		}
	}
	turn.told = true
	kept := c.keep(key, next, seen.near, len(payload), turn.fence())
	if c.far == nil {
		return kept
	}
	return seen.asked // memory alone, in front of a store that fails, does not count
}

// markUncacheable remembers for so long, if at all, that the key's values are nobody
// else's.
func (c *Cache[V]) markUncacheable(ctx context.Context, key string, hitForMiss time.Duration, seen sight[V], turn *turn) {
	if hitForMiss > 0 {
		c.fill(ctx, key, newFill[V](span{kind: kindUncacheable, fresh: hitForMiss}), seen, turn)
	}
}

// keep puts a fill into memory.
func (c *Cache[V]) keep(key string, next fill[V], at mark, size int, fence uint64) bool {
	if c.near == nil {
		return false
	}
	var err error
	if next.err != nil {
		err = next.err
	}
	e := newEntry(next.span, next.value, err, time.Duration(now()-next.made), c.cfg.EarlyBeta)
	e.fence = fence
	if c.near.fill(key, at, c.storeTags(next.tags), e, sizeOf(next.value, size)) {
		return true
	}
	c.near.outdate(key, e)
	c.counts.fenced.Add(1)
	return false
}

// keepUnconfirmed puts a fill into memory that the far store has no room for, or may
// have taken without being heard: purges are announced all the same, and fills of this
// process are not. A store that refuses it for another reason has what it had before.
func (c *Cache[V]) keepUnconfirmed(err error, key string, next fill[V], at mark, size int, turn *turn) {
	if refused(err) && !errors.Is(err, errNoRoom) {
		return
	}
	if c.mayStore(turn) {
		c.keep(key, next, at, size, turn.fence())
	} else if c.near != nil {
		c.near.outdate(key, &entry[V]{fence: turn.fence()})
	}
}

// mayStore: the lock is held at this moment, or the Cache has no locks.
func (c *Cache[V]) mayStore(turn *turn) bool {
	if c.cfg.Locks == nil {
		return true
	}
	held := turn.lock != nil && !turn.lost()
	if !held {
		c.counts.unguarded.Add(1)
	}
	return held
}

func (c *Cache[V]) countFillError(err error) {
	if errors.Is(err, ErrFenced) {
		c.counts.fenced.Add(1)
		return
	}
	c.counts.storeErrors.Add(1)
}

// encode is the stored form of what a fill holds. A value that only ever stays
// in memory and knows its size needs none.
func (c *Cache[V]) encode(next fill[V]) ([]byte, error) {
	switch {
	case next.span.kind == kindNegative:
		return encodeError(next.err), nil
	case next.span.kind == kindUncacheable:
		return nil, nil
	case c.far == nil && sizeOf(next.value, -1) >= 0:
		return nil, nil
	}
	return c.cfg.Codec.Marshal(next.value)
}
