package cache

// Hit returns the value under key if this process holds it fresh. It takes no
// lock, allocates nothing and never leaves the process; false says nothing about
// other tiers. It is the way in for callers to whom even building a [Call] is
// dear.
func (c *Cache[V]) Hit(key string) (Result[V], bool) {
	var spot Spot
	return c.HitAt(&spot, key)
}

// Spot is where [Cache.HitAt] has found a value, for [Cache.HitAgain]. The zero
// Spot is nowhere, and so is one of another Cache. It is for one goroutine at a
// time, and keeps no value in memory that the Store has let go of.
type Spot struct {
	space *space
	cell  *cell
	left  int // hits before the table is asked again
}

// spotHits is how often a Spot is used before the table learns, by being asked,
// that its value is one of those to keep.
const spotHits = 64

// HitAt is [Cache.Hit] that leaves in spot where the value was.
func (c *Cache[V]) HitAt(spot *Spot, key string) (Result[V], bool) {
	*spot = Spot{}
	if c.near == nil {
		return Result[V]{}, false
	}
	cell, content := c.near.find(key)
	*spot = Spot{c.near, cell, spotHits}
	return c.hitIn(cell, content)
}

// HitAgain is the [Cache.Hit] that spot was left by once more, for callers to
// whom even building the key is dear: what was purged, replaced or evicted since,
// or is no longer fresh, is not found. False may also mean that it is time for
// HitAt.
func (c *Cache[V]) HitAgain(spot *Spot) (Result[V], bool) {
	if spot.cell == nil || spot.left == 0 || spot.space != c.near {
		return Result[V]{}, false
	}
	spot.left--
	return c.hitIn(spot.cell, spot.cell.content.Load())
}

func (c *Cache[V]) hitIn(cell *cell, content *content) (Result[V], bool) {
	at := now()
	payload, current := c.near.open(cell, content, at)
	e, due := c.freshOf(payload, current, at)
	if e == nil || due {
		return Result[V]{}, false
	}
	c.counts.hits.Add(1)
	return e.result(at), true
}
