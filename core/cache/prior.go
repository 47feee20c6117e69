package cache

import "context"

// prior is what a lookup had found stored when its fetch began.
type prior[V any] struct {
	cache *Cache[V]
	key   string
	seen  sight[V]
}

type priorKey struct{}

// priorTo is what the lookup that ctx's fetch runs for has found, unless a purge
// or a fill has been heard of since: without memory none would be.
func (c *Cache[V]) priorTo(ctx context.Context, key string) (sight[V], bool) {
	p, ok := ctx.Value(priorKey{}).(*prior[V])
	if !ok || p.cache != c || p.key != key || c.near == nil || !p.seen.asked || c.near.mark(key) != p.seen.near {
		return sight[V]{}, false
	}
	return p.seen, true
}
