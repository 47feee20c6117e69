package cache

import "context"

// Tiered is a Memory in front of a Store that is shared with other processes.
//
// A [Cache] keeps decoded values in the Memory. Over a [Redis] the Memory is
// coherent: fills and purges of every process are announced by Pub/Sub. A purge
// holds in the purging process when it returns and in the others one message
// later. A process that loses the connection, or is left with one to a server that
// is not the master any more, notices within 2 seconds and from then on serves from
// memory only what it read less than a second ago, so 3 seconds is the longest a
// lost message can leave a purged value in use while the Store can be reached;
// while it cannot, values are served from memory for as long as their Policy
// allows, unless [Config.OnStoreFailure] is FailClosed. Over any other Store there
// are no announcements, and what is in memory is used for one second.
//
// Used as a plain Store, a Tiered is its far tier.
type Tiered struct {
	near *Memory
	far  Store
}

// NewTiered puts near in front of far. Neither may be nil.
func NewTiered(near *Memory, far Store) *Tiered {
	if near == nil || far == nil {
		panic("dlm/cache: NewTiered: nil store")
	}
	return &Tiered{near: near, far: far}
}

// Get implements [Store].
func (t *Tiered) Get(ctx context.Context, key string) (Item, error) { return t.far.Get(ctx, key) }

// Set implements [Store].
func (t *Tiered) Set(ctx context.Context, key string, it Item) error { return t.far.Set(ctx, key, it) }

// Delete implements [Store].
func (t *Tiered) Delete(ctx context.Context, keys ...string) error {
	return t.far.Delete(ctx, keys...)
}

// DeleteTags implements [Store].
func (t *Tiered) DeleteTags(ctx context.Context, tags ...string) error {
	return t.far.DeleteTags(ctx, tags...)
}
