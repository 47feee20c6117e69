package cache

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var errShardsDown = errors.New("all shards are down")

// placesOf is where an entry is now, and on a Ring of more than one shard that is
// up, its heir: the place it will be in when its own dies.
func (r *Redis) placesOf(key string) (own, heir *place, err error) {
	if r.ring == nil {
		return &place{r: r, client: r.client}, nil, nil
	}
	entry, _ := r.namesOf(key)
	shard, err := r.ring.GetShardClientForKey(entry)
	if err != nil {
		return nil, nil, err
	}
	own = r.placeOf(shard)
	addrs := r.ring.Options().Addrs
	others := map[string]*redis.Client{}
	for _, up := range r.ring.GetShardClients() {
		for name, addr := range addrs {
			if up != shard && up.Options().Addr == addr {
				others[name] = up
			}
		}
	}
	if len(others) == 0 {
		return own, nil, nil
	}
	names := make([]string, 0, len(others))
	for name := range others {
		names = append(names, name)
	}
	slices.Sort(names)
	// What a Ring hashes of a key, once without the shard.
	tag := entry[strings.IndexByte(entry, '{')+1 : strings.IndexByte(entry, '}')]
	next := others[r.ring.Options().NewConsistentHash(names).Get(tag)]
	return own, r.placeOf(next), nil
}

func (r *Redis) placeOf(shard *redis.Client) *place {
	return &place{r: r, client: shard, name: shard.Options().Addr}
}

// heirPatience is how long a slow heir may hold up an operation.
const heirPatience = 200 * time.Millisecond

// getOfTwo asks both places at once: a set needs marks of both. The value is the
// entry's own place's, or else, while that is dead or where it came back empty,
// the heir's.
func (r *Redis) getOfTwo(ctx context.Context, key string, own, heir *place) (Item, error) {
	var (
		heirMark redisMark
		held     bool
		heirErr  error
		asking   sync.WaitGroup
	)
	asking.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, heirPatience)
		defer cancel()
		heirMark, held, heirErr = heir.standing(ctx, key)
	})
	it, mark, err := own.get(ctx, key)
	asking.Wait()
	if err != nil && (!broken(err) || heirErr != nil) {
		return Item{}, err
	}
	marks := ringMark{}
	if err == nil {
		marks[own.name] = mark
	}
	if it.Value == nil && held && heirErr == nil {
		it, heirMark, heirErr = heir.get(ctx, key)
		if err != nil && heirErr != nil {
			return Item{}, heirErr
		}
	}
	if heirErr == nil {
		marks[heir.name] = heirMark
	}
	it.Mark = marks.String()
	return it, nil
}

// setBoth stores in both places what the mark allows, and succeeds if the entry
// can be found: a place that refuses connections is no obstacle.
func (r *Redis) setBoth(ctx context.Context, key string, it Item, own, heir *place, notice []byte) error {
	marks, err := parseRingMark(it.Mark)
	if err != nil {
		return err
	}
	heirErr := errUnseen
	var setting sync.WaitGroup
	if heir != nil {
		setting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, heirPatience)
			defer cancel()
			heirErr = heir.setMarked(ctx, key, it, marks, nil)
		})
	}
	ownErr := own.setMarked(ctx, key, it, marks, notice)
	setting.Wait()
	switch {
	case ownErr == nil && !errors.Is(heirErr, ErrFenced):
		return nil
	case heirErr == nil && (broken(ownErr) || errors.Is(ownErr, errUnseen)):
		return heir.client.Publish(ctx, r.channel, notice).Err()
	case errors.Is(ownErr, ErrFenced), errors.Is(heirErr, ErrFenced), errors.Is(ownErr, errUnseen):
		return ErrFenced
	}
	return ownErr
}

// errUnseen refuses a set where the Get before it did not look.
var errUnseen = errors.New("the mark is of other shards")

// setMarked sets as the mark of this place says. Without one nothing can be
// told of purges: what is there must go, as it would be older than the other copy.
func (p *place) setMarked(ctx context.Context, key string, it Item, marks ringMark, notice []byte) error {
	mark, seen := marks[p.name]
	switch {
	case marks == nil:
		mark.gen = unmarked
	case !seen:
		entry, _ := p.r.namesOf(key)
		return errors.Join(errUnseen, p.client.Del(ctx, entry).Err())
	}
	return p.set(ctx, key, it, mark, notice)
}

// purgeShards purges every shard, as any may hold a copy from before the Ring
// last changed. A shard that is down is an error: when it returns it may bring
// back what was purged meanwhile.
func (r *Redis) purgeShards(on func(*place) error) error {
	shards := r.ring.GetShardClients()
	errs := make([]error, len(shards), len(shards)+1)
	var purging sync.WaitGroup
	for i, shard := range shards {
		purging.Go(func() { errs[i] = on(r.placeOf(shard)) })
	}
	purging.Wait()
	if all := len(r.ring.Options().Addrs); len(shards) < all {
		errs = append(errs, fmt.Errorf("%d of %d shards are down: repeat the purge when they are back", all-len(shards), all))
	}
	return errors.Join(errs...)
}

// ringMark is the marks of shards, by name; nil asks for no check.
type ringMark map[string]redisMark

func (m ringMark) String() string {
	parts := make([]string, 0, len(m))
	for name, mark := range m {
		parts = append(parts, url.QueryEscape(name)+"="+mark.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, ";")
}

func parseRingMark(s string) (ringMark, error) {
	if s == "" {
		return nil, nil
	}
	marks := ringMark{}
	for part := range strings.SplitSeq(s, ";") {
		name, text, ok := strings.Cut(part, "=")
		shard, err := url.QueryUnescape(name)
		if !ok || err != nil || text == "" {
			return nil, fmt.Errorf("%w: Mark %q: not one of this store", ErrInvalid, s)
		}
		if marks[shard], err = parseRedisMark(text); err != nil {
			return nil, err
		}
	}
	return marks, nil
}
