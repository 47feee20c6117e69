package cache

import (
	"context"
	"time"
)

// Store keeps bytes under keys of any bytes. Its methods are safe for
// concurrent use and return errors instead of hiding them; what a Cache does
// about one is [Config.OnStoreFailure]. A panic is logged and counts as an error.
//
// [NewMemory], [NewRedis] and [NewTiered] are Stores. A Store of your own must
// honour Mark and Fence, or purges can be undone by fetches that were under way.
type Store interface {
	// Get returns what is stored. A key that is not there is an Item with a nil
	// Value and a Mark, and no error.
	Get(ctx context.Context, key string) (Item, error)
	// Set stores it.Value for it.TTL, or returns ErrFenced when the key was
	// purged since the Get that gave it.Mark, or holds what a holder of a later
	// fencing token put there since. An empty Mark asks for neither check.
	Set(ctx context.Context, key string, it Item) error
	// Delete purges keys: they are gone when it returns, and no Set with an
	// earlier Mark brings them back.
	Delete(ctx context.Context, keys ...string) error
	// DeleteTags does the same for everything stored, or about to be stored,
	// with one of the tags.
	DeleteTags(ctx context.Context, tags ...string) error
}

// Item is what a Store keeps.
type Item struct {
	Value []byte
	// TTL is, in Set, how long to keep the value, and in Get how much of that is
	// left. At least 1 ms in Set; a Store that counts more coarsely rounds it down.
	TTL  time.Duration
	Tags []string
	// Mark is the purge generation at the time of a Get; opaque.
	Mark string
	// Fence is the fencing token of the lock the value was made under; 0 without.
	Fence uint64
	// Lock is the name of that lock: a Store that announces its fills to other
	// processes names it, so that those who queue for it look again.
	Lock string

	vital bool  // it is worth the room that a server keeps for locks
	over  int64 // when TTL is, by this process' clock; of Redis.Set, which may take long
}
