package cache

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// place is where an entry is, with the purge generation of its bucket and the
// tags: a server, a Cluster, or one shard of a Ring.
type place struct {
	r      *Redis
	client redis.UniversalClient
	name   string // of a shard
}

// onlyPlace is where everything is, unless that is a Ring.
func (r *Redis) onlyPlace() *place { return &place{r: r, client: r.client} }

// oneServer: commands may name any keys together.
func (p *place) oneServer() bool {
	_, ok := p.client.(*redis.Client)
	return ok
}

// replica is what a place has of an entry, and its purge state now: the mark for
// the next set there.
type replica struct {
	frame frame // unless held, without content
	left  time.Duration
	mark  redisMark
	held  bool   // there is a frame that counts
	junk  string // there is something else
}

// find looks for an entry.
func (p *place) find(ctx context.Context, key string) (replica, error) {
	x, err := p.read(ctx, key)
	if err == nil && x.mark.epoch == 0 && len(x.frame.tags) > 0 {
		x.mark.epoch, err = p.epochOf(ctx)
	}
	return x, err
}

func replicaOf(raw string, mark redisMark, left time.Duration) replica {
	x := replica{left: left, mark: mark}
	f, err := decodeFrame(raw)
	switch {
	case err == nil && left > 0:
		x.frame, x.held, x.mark.fence = f, true, f.fence
	case raw != "" && left != gone:
		x.junk = raw
	}
	return x
}

// get is the entry that look finds, unless a tag of it was purged.
func (p *place) get(ctx context.Context, key string, look func(context.Context, string) (replica, error)) (Item, error) {
	x, err := look(ctx, key)
	if err != nil {
		return Item{}, err
	}
	it, err := p.unpurged(ctx, x)
	it.Mark = x.mark.String()
	return it, err
}

// unpurged is the entry of a replica of this place.
func (p *place) unpurged(ctx context.Context, x replica) (Item, error) {
	valid, err := p.tagsValid(ctx, x.frame.tags, x.frame.epoch, x.mark.epoch)
	if err != nil || !valid {
		return Item{}, err
	}
	return x.item(), nil
}

func (x replica) item() Item {
	switch {
	case x.held:
		return Item{Fence: x.frame.fence, TTL: x.left, Tags: x.frame.tags, Value: x.frame.value}
	case x.junk != "":
		return Item{Value: []byte(x.junk), TTL: time.Millisecond} // for the Cache to count as corrupt
	}
	return Item{}
}

// gone is PTTL's answer for a key that is not there.
const gone = -2 * time.Nanosecond

// read asks for everything about a key at once: two commands on one server, one
// more where the tag epoch lives elsewhere. The time left comes first: another
// client's set between the two then makes the new entry look too old, which is
// safe, and not the old one too young. Both as one script would take the server
// ten times as long.
func (p *place) read(ctx context.Context, key string) (replica, error) {
	entry, genKey := p.r.namesOf(key)
	if !p.oneServer() {
		return p.readApart(ctx, entry, genKey)
	}
	_, epochKey := p.r.tagNames()
	var (
		values *redis.SliceCmd
		ttl    *redis.DurationCmd
	)
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		ttl, values = pipe.PTTL(ctx, entry), pipe.MGet(ctx, entry, genKey, epochKey)
		return nil
	})
	if err != nil {
		return replica{}, err
	}
	got := texts(values.Val(), 3)
	mark, err := p.markOf(ctx, got[1], got[2])
	return replicaOf(got[0], mark, ttl.Val()), err
}

// texts are the first n values of an answer, "" for what is missing or no text.
func texts(values []any, n int) []string {
	got := make([]string, n)
	for i := range min(n, len(values)) {
		got[i], _ = values[i].(string)
	}
	return got
}

// markOf completes what was read. Without an epoch, as it was never set or was
// evicted, no tag purge could be told from none.
func (p *place) markOf(ctx context.Context, gen, epoch string) (redisMark, error) {
	m := redisMark{gen: gen}
	m.epoch, _ = strconv.ParseUint(epoch, 10, 64) // 0 for none, and for what nobody here wrote
	if m.epoch > 0 {
		return m, nil
	}
	var err error
	m.epoch, err = p.firstEpoch(ctx)
	return m, err
}

// standing is find without the entry's content. It is of a server, where all keys
// may be named together.
func (p *place) standing(ctx context.Context, key string) (replica, error) {
	entry, genKey := p.r.namesOf(key)
	_, epochKey := p.r.tagNames()
	var (
		values *redis.SliceCmd
		head   *redis.StringCmd
	)
	if _, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		values, head = pipe.MGet(ctx, genKey, epochKey), pipe.GetRange(ctx, entry, 0, int64(frameHead)-1)
		return nil
	}); err != nil {
		return replica{}, err
	}
	got := texts(values.Val(), 2)
	mark, err := p.markOf(ctx, got[0], got[1])
	if err != nil {
		return replica{}, err
	}
	x := replica{mark: mark}
	x.frame.frameStart, x.held = decodeStart(head.Val())
	x.mark.fence = x.frame.fence
	return x, nil
}

// tagsValid reports whether no tag was purged here between two epochs.
func (p *place) tagsValid(ctx context.Context, tags []string, then, epoch uint64) (bool, error) {
	switch {
	case len(tags) == 0 || then == epoch:
		return true, nil
	case then > epoch: // the epoch was lost and started again
		return false, nil
	}
	fields := []string{"base"}
	for _, tag := range tags {
		fields = append(fields, strconv.Itoa(int(tagBucketOf(tag))))
	}
	hash, _ := p.r.tagNames()
	values, err := p.client.HMGet(ctx, hash, fields...).Result()
	if err != nil {
		return false, err
	}
	base, ok := values[0].(string)
	if since, err := strconv.ParseUint(base, 10, 64); !ok || err != nil || then < since {
		return false, nil
	}
	for _, v := range values[1:] {
		text, ok := v.(string)
		if at, err := strconv.ParseUint(text, 10, 64); ok && (err != nil || at > then) {
			return false, nil
		}
	}
	return true, nil
}

func (p *place) firstEpoch(ctx context.Context) (uint64, error) {
	hash, epochKey := p.r.tagNames()
	return purgeTagsScript.Run(ctx, p.client, []string{hash, epochKey}, p.r.channel, "").Uint64()
}

// copied is what the copies of one fill share, and what one knows of the other's
// place.
type copied struct {
	fill uint64
	peer peerMark
}

// set stores an item unless the mark is out of date. An empty notice is not sent.
func (p *place) set(ctx context.Context, key string, it Item, mark redisMark, of copied, notice []byte) (err error) {
	if len(it.Tags) > 0 && mark.gen != unmarked && mark.epoch == 0 {
		return errNoEpoch // when the fetch began: a tag may have been purged since
	}
	f := frame{frameStart{it.Fence, mark.epoch, of.fill}, it.Tags, of.peer, it.Value}
	if len(f.tags) > 0 && mark.gen == unmarked {
		if f.epoch, err = p.firstEpoch(ctx); err != nil {
			return err
		}
	}
	entry, gen := p.r.namesOf(key)
	run := func() (int64, error) {
		left := time.Duration(it.over - now()) // whatever has taken its time until here
		if left < time.Millisecond {
			return tooLate, nil
		}
		return p.runSet(ctx, []string{entry, gen},
			[]any{mark.gen, hexFence(mark.fence), f.encode(), left.Milliseconds(), hexFence(it.Fence), p.r.channel, notice})
	}
	end, err := run()
	if end == tooLate && err == nil { // by a clock that was not known, or was set: who hears of it is not late
		end, err = run()
	}
	switch {
	case err != nil || end == isStored:
		return err
	case end == tooLate:
		return errTooLate
	}
	return ErrFenced
}

// errTooLate refuses a set that its server came to when nobody waited for it any more,
// as far as is known. It says nothing of purges.
var errTooLate = errors.New("the server came to it too late")

// What set.lua says became of an entry.
const (
	isStored = 1
	tooLate  = -1
)

func (p *place) runSet(ctx context.Context, keys []string, args []any) (end int64, err error) {
	server := p.serverOf(ctx, keys[0])
	from, until := p.windowOf(ctx, server)
	got, err := setScript.Run(ctx, p.client, keys, append(args, from, until)...).Int64Slice()
	switch {
	case err != nil:
		return 0, err
	case len(got) != 2:
		return 0, errBadAnswer
	}
	p.r.clocks.learn(server, reading{server: got[1], answered: now()})
	return got[0], nil
}

// apply purges here.
func (p *place) apply(ctx context.Context, what purge) error {
	if len(what.keys) > 0 {
		if err := p.purgeKeys(ctx, what.keys); err != nil {
			return err
		}
	}
	if len(what.tags) > 0 {
		return p.purgeTags(ctx, what.tags)
	}
	return nil
}

func (p *place) purgeKeys(ctx context.Context, keys []string) error {
	if len(keys) == 1 {
		names, notice := p.r.purgeOf(keys[0])
		return purgeScript.Run(ctx, p.client, names, p.r.channel, notice).Err()
	}
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys { // a pipeline cannot fall back from EVALSHA to EVAL
			names, notice := p.r.purgeOf(key)
			purgeScript.Eval(ctx, pipe, names, p.r.channel, notice)
		}
		return nil
	})
	return err
}

func (r *Redis) purgeOf(key string) (names []string, notice []byte) {
	entry, gen := r.namesOf(key)
	return []string{entry, gen}, change{origin: r.origin, keys: []string{key}}.encode()
}

func (p *place) purgeTags(ctx context.Context, tags []string) error {
	hash, epoch := p.r.tagNames()
	args := []any{p.r.channel, change{origin: p.r.origin, tags: tags}.encode()}
	for _, tag := range tags {
		args = append(args, int(tagBucketOf(tag)))
	}
	return purgeTagsScript.Run(ctx, p.client, []string{hash, epoch}, args...).Err()
}
