package cache

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a Store on any go-redis client: one server, Sentinel, Cluster or
// Ring. It needs Redis 5 or later, or a server that speaks its scripts, and an
// ACL for GET, MGET, SET, DEL, PTTL, HSET, HSETNX, HMGET, TIME, GETRANGE, EVAL,
// EVALSHA, PUBLISH and SUBSCRIBE on keys and channels "<prefix>:c1:*".
//
// Entries expire by themselves. What else it keeps is bounded: 4096 purge
// generations and 16384 tag counters, a few hundred kilobytes. They may be
// evicted or lost with the server's data: that costs a few needless misses and a
// command each, and brings nothing back that a [Cache] fetched before a purge. To
// a program that calls Get and Set itself, a generation that is not there yet
// looks like one that was lost.
//
// Values leave room for what else is on a server, locks above all. One that evicts
// nothing (maxmemory-policy noeviction) and is three quarters full, of its maxmemory or
// without one of all that its host has, gets no more of them: Set fails, and a
// [Tiered] keeps them in memory alone. That asks the server for INFO four times a
// second at most, where the ACL allows it, and limits nothing where it does not.
//
// Replication is asynchronous. A purge that a master confirmed and that the replica
// promoted in its place had not received is lost: what it removed is served again,
// for the rest of its time at most, unless it is purged again.
//
// On a Cluster keys of a master that is down are missing alone, provided that
// cluster-require-full-coverage is "no". The tags are on one master, and while that
// is down so is everything with tags.
//
// On a Ring each shard keeps purge generations and tags of its own, and an entry
// is on two shards: its own, and the one that its key moves to when that dies,
// which answers for it at once. Entries take twice their memory so. Purges go to
// every shard; Delete and DeleteTags fail while one is down. It brings nothing back
// when it returns, also where that error was ignored: as long as both shards of an
// entry answer, neither is believed without the other. The process whose purge
// failed repeats it on the shard that returns, before it uses it and, while a Cache
// is open on it, within a second or two; only if that process has ended before,
// and the entry's other shard is down later, can a purged value be served again.
// Set ContextTimeoutEnabled in the Ring's options: without it a shard that is frozen
// also holds up the entries whose second copy it has, until the Ring notices.
type Redis struct {
	client  redis.UniversalClient
	ring    *redis.Ring // client, if it is one
	base    string
	channel string
	origin  string
	ears    ears
	debts   debts // of the shards of a Ring
	clocks  clocks
	epochs  epochs // of a Cluster
	rooms   rooms
}

// RedisOption changes what NewRedis does by default.
type RedisOption func(*Redis)

// WithPrefix sets the namespace of every key and channel, at most 32 bytes.
// Default "dlm". Every process that shares values must use the same.
func WithPrefix(prefix string) RedisOption {
	if prefix == "" || len(prefix) > maxPrefix {
		panic(fmt.Sprintf("dlm/cache: WithPrefix(%q): use 1 to %d bytes", prefix, maxPrefix))
	}
	return func(r *Redis) { r.base = prefix + redisLayout }
}

// NewRedis makes a Store of a ready client, which must not be nil and is never
// closed here. It sends no command.
func NewRedis(client redis.UniversalClient, opts ...RedisOption) *Redis {
	if client == nil {
		panic("dlm/cache: NewRedis: nil client")
	}
	r := &Redis{client: client, base: "dlm" + redisLayout, origin: rand.Text()}
	r.epochs.asking = make(chan struct{}, maxPending)
	for _, opt := range opts {
		opt(r)
	}
	r.ring, _ = client.(*redis.Ring)
	r.channel = r.base + "news"
	r.ears.init(r)
	return r
}

var (
	//go:embed lua/set.lua
	setSource string
	//go:embed lua/purge.lua
	purgeSource string
	//go:embed lua/purgetags.lua
	purgeTagsSource string

	setScript       = redis.NewScript(setSource)
	purgeScript     = redis.NewScript(purgeSource)
	purgeTagsScript = redis.NewScript(purgeTagsSource)
)

// Get implements [Store]. It is one round trip; two for an entry with tags when
// any tag was purged since it was made, or whose own shard of a Ring lacks it.
func (r *Redis) Get(ctx context.Context, key string) (Item, error) {
	own, heir, err := r.placesOf(key)
	if err != nil {
		return Item{}, err
	}
	if heir == nil {
		if err := own.settle(ctx); err != nil {
			return Item{}, err
		}
		return own.get(ctx, key, own.find)
	}
	return r.getOfTwo(ctx, key, own, heir)
}

// recheck is Get in one command, where that is possible.
func (r *Redis) recheck(ctx context.Context, key string) (Item, error) {
	p := r.onlyPlace()
	if r.ring != nil || !p.oneServer() {
		return r.Get(ctx, key)
	}
	return p.get(ctx, key, p.recheck)
}

// Set implements [Store].
func (r *Redis) Set(ctx context.Context, key string, it Item) error {
	if it.TTL < time.Millisecond {
		return fmt.Errorf("%w: TTL %v: must be at least 1ms", ErrInvalid, it.TTL)
	}
	it.over = now() + int64(it.TTL)
	own, heir, err := r.placesOf(key)
	if err != nil {
		return err
	}
	if !it.vital && !r.spares(ctx, key, len(key)+len(it.Value)+cellOverhead, own, heir) {
		return errNoRoom
	}
	if err = r.setAt(ctx, key, it, own, heir); errors.Is(err, errTooLate) {
		return ErrFenced // by the end of its lease, or of the wait for it
	}
	return err
}

func (r *Redis) setAt(ctx context.Context, key string, it Item, own, heir *place) error {
	notice := change{origin: r.origin, filled: true, keys: []string{key}, lock: it.Lock}.encode()
	if r.ring != nil {
		return r.setBoth(ctx, key, it, own, heir, notice)
	}
	mark, err := parseRedisMark(it.Mark)
	if err != nil {
		return err
	}
	return own.set(ctx, key, it, mark, copied{}, notice)
}

// Delete implements [Store].
func (r *Redis) Delete(ctx context.Context, keys ...string) error {
	return r.purge(ctx, purge{keys: keys})
}

// DeleteTags implements [Store].
func (r *Redis) DeleteTags(ctx context.Context, tags ...string) error {
	return r.purge(ctx, purge{tags: tags})
}

// purge is what is to be gone.
type purge struct{ keys, tags []string }

// purge is done everywhere. It returns every error, as what was missed anywhere
// may be served again.
func (r *Redis) purge(ctx context.Context, what purge) error {
	if r.ring == nil {
		return r.onlyPlace().apply(ctx, what)
	}
	return r.purgeShards(ctx, what)
}

// announce tells of the end of a fetch. On a Ring any shard will do, as everybody
// listens to all of them.
func (r *Redis) announce(ctx context.Context, lock string) error {
	notice := change{origin: r.origin, lock: lock}.encode()
	if r.ring == nil {
		return r.client.Publish(ctx, r.channel, notice).Err()
	}
	err := errShardsDown
	for _, shard := range r.ring.GetShardClients() {
		if err = shard.Publish(ctx, r.channel, notice).Err(); err == nil {
			return nil
		}
	}
	return err
}

func (r *Redis) id() string { return r.origin }
