package cache

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
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
// evicted or lost with the server's data: purges then cost a few needless
// misses, and bring nothing back.
//
// On a Ring, a shard that was down during a purge may still hold what was purged
// when it returns. Delete and DeleteTags therefore fail while a shard is down.
type Redis struct {
	client  redis.UniversalClient
	base    string
	channel string
	origin  string
	oneSlot bool // every key is on one server: commands may name any of them
	ears    ears
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
	for _, opt := range opts {
		opt(r)
	}
	_, r.oneSlot = client.(*redis.Client)
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
// any tag was purged since it was made.
func (r *Redis) Get(ctx context.Context, key string) (Item, error) {
	raw, gen, epoch, left, err := r.read(ctx, key)
	if err != nil {
		return Item{}, err
	}
	if epoch == 0 { // never set, or evicted: without it no tag purge could be told from none
		if epoch, err = r.firstEpoch(ctx); err != nil {
			return Item{}, err
		}
	}
	mark := redisMark{gen: gen, epoch: epoch}
	f, err := decodeFrame(raw)
	if err != nil || left <= 0 {
		it := Item{Mark: mark.String()}
		if raw != "" && left != gone {
			it.Value, it.TTL = []byte(raw), time.Millisecond // for the Cache to count as corrupt
		}
		return it, nil
	}
	mark.fence = f.fence
	it := Item{Mark: mark.String(), Fence: f.fence, TTL: left, Tags: f.tags, Value: f.value}
	if valid, err := r.tagsValid(ctx, f, epoch); err != nil || !valid {
		it.Value = nil
		return it, err
	}
	return it, nil
}

// gone is PTTL's answer for a key that is not there.
const gone = -2 * time.Nanosecond

// read asks for everything about a key at once: two commands on one server, one
// more where the tag epoch lives elsewhere.
func (r *Redis) read(ctx context.Context, key string) (raw, gen string, epoch uint64, left time.Duration, err error) {
	entry, genKey := r.namesOf(key)
	_, epochKey := r.tagNames()
	keys := []string{entry, genKey, epochKey}
	var (
		values *redis.SliceCmd
		apart  *redis.StringCmd
		ttl    *redis.DurationCmd
	)
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		if r.oneSlot {
			values = p.MGet(ctx, keys...)
		} else {
			values, apart = p.MGet(ctx, keys[:2]...), p.Get(ctx, epochKey)
		}
		ttl = p.PTTL(ctx, entry)
		return nil
	})
	// The error of a pipeline is its first one, which may hide another shard's.
	if err = realErrors(err, values, apart, ttl); err != nil {
		return "", "", 0, 0, err
	}
	got := append(values.Val(), nil, nil, nil)
	raw, _ = got[0].(string)
	gen, _ = got[1].(string)
	epochText, _ := got[2].(string)
	if apart != nil {
		epochText = apart.Val()
	}
	epoch, _ = strconv.ParseUint(epochText, 10, 64) // 0 for none, and for what nobody here wrote
	return raw, gen, epoch, ttl.Val(), nil
}

// realErrors leaves out that a key is not there.
func realErrors(err error, values *redis.SliceCmd, apart *redis.StringCmd, ttl *redis.DurationCmd) error {
	errs := []error{err, values.Err(), ttl.Err()}
	if apart != nil {
		errs = append(errs, apart.Err())
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// tagsValid reports whether no tag of the entry was purged since it was begun.
func (r *Redis) tagsValid(ctx context.Context, f frame, epoch uint64) (bool, error) {
	switch {
	case len(f.tags) == 0 || f.epoch == epoch:
		return true, nil
	case f.epoch > epoch: // the epoch was lost and started again
		return false, nil
	}
	fields := []string{"base"}
	for _, tag := range f.tags {
		fields = append(fields, strconv.Itoa(int(tagBucketOf(tag))))
	}
	hash, _ := r.tagNames()
	values, err := r.client.HMGet(ctx, hash, fields...).Result()
	if err != nil {
		return false, err
	}
	base, ok := values[0].(string)
	if since, err := strconv.ParseUint(base, 10, 64); !ok || err != nil || f.epoch < since {
		return false, nil
	}
	for _, v := range values[1:] {
		text, ok := v.(string)
		if at, err := strconv.ParseUint(text, 10, 64); ok && (err != nil || at > f.epoch) {
			return false, nil
		}
	}
	return true, nil
}

func (r *Redis) firstEpoch(ctx context.Context) (uint64, error) {
	hash, epochKey := r.tagNames()
	return purgeTagsScript.Run(ctx, r.client, []string{hash, epochKey}, r.channel, "").Uint64()
}

// Set implements [Store].
func (r *Redis) Set(ctx context.Context, key string, it Item) error {
	if it.TTL < time.Millisecond {
		return fmt.Errorf("%w: TTL %v: must be at least 1ms", ErrInvalid, it.TTL)
	}
	mark, err := parseRedisMark(it.Mark)
	if err != nil {
		return err
	}
	f := frame{fence: it.Fence, epoch: mark.epoch, tags: it.Tags, value: it.Value}
	if len(f.tags) > 0 && mark.gen == unmarked {
		if f.epoch, err = r.firstEpoch(ctx); err != nil {
			return err
		}
	}
	entry, gen := r.namesOf(key)
	notice := change{origin: r.origin, filled: true, keys: []string{key}, lock: it.Lock}.encode()
	stored, err := setScript.Run(ctx, r.client, []string{entry, gen},
		mark.gen, hexFence(mark.fence), f.encode(), it.TTL.Milliseconds(), hexFence(it.Fence), r.channel, notice).Bool()
	if err == nil && !stored {
		return ErrFenced
	}
	return err
}

// Delete implements [Store].
func (r *Redis) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	if len(keys) == 1 {
		names, notice := r.purgeOf(keys[0])
		err := purgeScript.Run(ctx, r.client, names, r.channel, notice).Err()
		return errors.Join(err, r.missingShards(ctx))
	}
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys { // a pipeline cannot fall back from EVALSHA to EVAL
			names, notice := r.purgeOf(key)
			purgeScript.Eval(ctx, p, names, r.channel, notice)
		}
		return nil
	})
	return errors.Join(err, r.missingShards(ctx))
}

func (r *Redis) purgeOf(key string) (names []string, notice []byte) {
	entry, gen := r.namesOf(key)
	return []string{entry, gen}, change{origin: r.origin, keys: []string{key}}.encode()
}

// DeleteTags implements [Store].
func (r *Redis) DeleteTags(ctx context.Context, tags ...string) error {
	if len(tags) == 0 {
		return nil
	}
	hash, epoch := r.tagNames()
	args := []any{r.channel, change{origin: r.origin, tags: tags}.encode()}
	for _, tag := range tags {
		args = append(args, int(tagBucketOf(tag)))
	}
	err := purgeTagsScript.Run(ctx, r.client, []string{hash, epoch}, args...).Err()
	return errors.Join(err, r.missingShards(ctx))
}

// missingShards is an error while a Ring works without all of its shards: one
// that returns may bring back what was purged meanwhile.
func (r *Redis) missingShards(ctx context.Context) error {
	ring, ok := r.client.(*redis.Ring)
	if !ok {
		return nil
	}
	if up, all := ring.Len(), len(ring.Options().Addrs); up < all {
		return fmt.Errorf("%d of %d shards are down: repeat the purge when they are back", all-up, all)
	}
	return nil
}

func (r *Redis) announce(ctx context.Context, lock string) error {
	return r.client.Publish(ctx, r.channel, change{origin: r.origin, lock: lock}.encode()).Err()
}

func (r *Redis) id() string { return r.origin }
