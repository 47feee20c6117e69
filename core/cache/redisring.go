package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errShardsDown = errors.New("all shards are down")
	errShardDown  = errors.New("is down")
)

// placesOf is where an entry is now, and on a Ring of more than one shard that is
// up, its heir: the place it will be in when its own dies.
func (r *Redis) placesOf(key string) (own, heir *place, err error) {
	if r.ring == nil {
		return r.onlyPlace(), nil, nil
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

// shardAt is a shard that the Ring uses at present.
func (r *Redis) shardAt(addr string) (*redis.Client, error) {
	for _, up := range r.ring.GetShardClients() {
		if up.Options().Addr == addr {
			return up, nil
		}
	}
	return nil, errShardDown
}

func (r *Redis) placeOf(shard *redis.Client) *place {
	return &place{r: r, client: shard, name: shard.Options().Addr}
}

// heirPatience is how long a slow heir may hold up an operation.
const heirPatience = 200 * time.Millisecond

// setBoth stores in both places what the mark allows, and succeeds if the entry
// can be found: a place that refuses connections is no obstacle.
func (r *Redis) setBoth(ctx context.Context, key string, it Item, own, heir *place, notice []byte) error {
	marks, err := parseRingMark(it.Mark)
	if err != nil {
		return err
	}
	heirErr := errUnseen
	ownCopy := copied{rand.Uint64(), marks.peer(own.name, "")}
	var setting sync.WaitGroup
	if heir != nil {
		ownCopy.peer = marks.peer(own.name, heir.name)
		heirCopy := copied{ownCopy.fill, marks.peer(heir.name, own.name)}
		setting.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, heirPatience)
			defer cancel()
			heirErr = heir.setMarked(ctx, key, it, marks, heirCopy, nil)
		})
	}
	ownErr := own.setMarked(ctx, key, it, marks, ownCopy, notice)
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
func (p *place) setMarked(ctx context.Context, key string, it Item, marks ringMark, of copied, notice []byte) error {
	mark, seen := marks[p.name]
	switch {
	case marks == nil:
		mark.gen = unmarked
	case p.settle(ctx) != nil:
		return errUnseen
	case !seen:
		entry, _ := p.r.namesOf(key)
		return errors.Join(errUnseen, p.client.Del(ctx, entry).Err())
	}
	return p.set(ctx, key, it, mark, of, notice)
}

// purgeShards purges every shard, as any may hold a copy from before the Ring
// last changed. What one misses, or has not confirmed when ctx ends, it owes.
func (r *Redis) purgeShards(ctx context.Context, what purge) error {
	var (
		mu      sync.Mutex
		pending = map[string]bool{} // guarded by mu
		errs    []error             // guarded by mu
		purging sync.WaitGroup
	)
	end := func(addr string, err error) {
		mu.Lock()
		defer mu.Unlock()
		delete(pending, addr)
		if err != nil {
			r.debts.add(addr, what)
			// As text: whoever repeats what met a broken connection need not repeat this.
			errs = append(errs, fmt.Errorf("shard %s: %v: repeat the purge when it is back", addr, err)) //nolint:errorlint // see above
		}
	}
	for _, addr := range r.ring.Options().Addrs {
		pending[addr] = true
	}
	defer context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		for addr := range pending {
			r.debts.add(addr, what)
		}
	})()
	for _, addr := range r.ring.Options().Addrs {
		purging.Go(func() {
			shard, err := r.shardAt(addr)
			if err == nil {
				err = r.placeOf(shard).apply(ctx, what)
			}
			end(addr, err)
		})
	}
	purging.Wait()
	return errors.Join(errs...)
}

// ringMark is the marks of shards, by name; nil asks for no check.
type ringMark map[string]redisMark

// peer is what a copy at one shard is to know of the other one, or of whatever
// other shard the Get saw.
func (m ringMark) peer(at, other string) peerMark {
	mark, seen := m[other]
	for name := range m {
		if !seen && name != at {
			other, mark, seen = name, m[name], true
		}
	}
	if !seen {
		return peerMark{}
	}
	return peerMark{other, mark.gen, mark.epoch}
}

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
