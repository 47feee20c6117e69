package cache

import (
	"context"
	"sync"
)

// pair is an entry's two places on a Ring, and what they said of it.
//
// A place that was down during a purge comes back with what was purged. So while
// both places answer, neither is believed alone: a copy counts if the other place
// has one of the same fill, or has taken no purge since the fill's mark.
//
//	own place      heir           the entry is
//	does not answer               the heir's
//	               does not       the own place's
//	a fill         the same fill  it
//	a fill         an older one   the own place's, if the heir vouches for it
//	a fill         nothing        likewise
//	an older one   a fill         the heir's, if the own place vouches for it
//	nothing        a fill         likewise
//
// An entry with a tag that either place has purged never counts. A fill made while
// another place was down, or thought to be, has its other copy in a third one: that
// is asked then, and is not needed while it is down. Fills without fencing tokens are
// of one age; the own place's counts for the later one.
type pair struct {
	own, heir       *place
	key             string
	ours, theirs    replica
	ownErr, heirErr error
}

// getOfTwo asks both places at once: a set needs marks of both.
func (r *Redis) getOfTwo(ctx context.Context, key string, own, heir *place) (Item, error) {
	p := pair{own: own, heir: heir, key: key}
	var asking sync.WaitGroup
	asking.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, heirPatience)
		defer cancel()
		p.theirs, p.heirErr = heir.word(ctx, key)
	})
	if p.ownErr = own.settle(ctx); p.ownErr == nil {
		p.ours, p.ownErr = own.find(ctx, key)
	}
	asking.Wait()
	if p.ownErr != nil && (!broken(p.ownErr) || p.heirErr != nil) {
		return Item{}, p.ownErr
	}
	it, err := p.believed(ctx)
	if err != nil {
		return Item{}, err
	}
	it.Mark = p.mark().String()
	return it, nil
}

func (p *pair) mark() ringMark {
	m := ringMark{}
	if p.ownErr == nil {
		m[p.own.name] = p.ours.mark
	}
	if p.heirErr == nil {
		m[p.heir.name] = p.theirs.mark
	}
	return m
}

func (p *pair) believed(ctx context.Context) (Item, error) {
	ours, theirs := &p.ours, &p.theirs
	switch {
	case p.ownErr != nil:
		return p.heir.get(ctx, p.key, p.heir.find)
	case p.heirErr != nil:
		return p.own.unpurged(ctx, *ours)
	case theirs.held && (!ours.held || theirs.frame.fence > ours.frame.fence):
		full, err := p.heir.find(ctx, p.key)
		if err != nil || !full.held {
			return Item{}, err
		}
		return p.agreed(ctx, p.heir, full, p.own, ours, full.frame.peer)
	case theirs.held && theirs.frame.fill == ours.frame.fill:
		same := peerMark{p.heir.name, theirs.mark.gen, theirs.frame.epoch}
		return p.agreed(ctx, p.own, *ours, p.heir, theirs, same)
	case ours.held:
		return p.agreed(ctx, p.own, *ours, p.heir, theirs, ours.frame.peer)
	}
	return ours.item(), nil
}

// agreed is a replica's entry if the other place, whose state the entry was made
// in, has purged neither it nor one of its tags since.
func (p *pair) agreed(ctx context.Context, at *place, x replica, other *place, now *replica, then peerMark) (Item, error) {
	if then.name != other.name {
		return p.thirdAgreed(ctx, at, x, then)
	}
	if then.gen != now.mark.gen {
		return Item{}, nil
	}
	var (
		valid    bool
		validErr error
		asking   sync.WaitGroup
	)
	asking.Go(func() { valid, validErr = other.tagsValid(ctx, x.frame.tags, then.epoch, now.mark.epoch) })
	it, err := at.unpurged(ctx, x)
	asking.Wait()
	if err != nil || validErr != nil || !valid {
		return Item{}, err // the other place has died meanwhile, or has purged a tag: a miss
	}
	return it, nil
}

// thirdAgreed is agreed for a replica whose other copy is in neither place.
func (p *pair) thirdAgreed(ctx context.Context, at *place, x replica, then peerMark) (Item, error) {
	if then.name == "" {
		return Item{}, nil
	}
	shard, err := at.r.shardAt(then.name)
	if err != nil {
		return at.unpurged(ctx, x)
	}
	third := at.r.placeOf(shard)
	now, err := third.word(ctx, p.key)
	if err != nil {
		return Item{}, nil //nolint:nilerr // nobody vouches for it: a miss
	}
	if now.held && now.frame.fill == x.frame.fill {
		then = peerMark{third.name, now.mark.gen, now.frame.epoch}
	}
	return p.agreed(ctx, at, x, third, &now, then)
}

// word is the standing of an entry at a place that owes nothing.
func (p *place) word(ctx context.Context, key string) (replica, error) {
	if err := p.settle(ctx); err != nil {
		return replica{}, err
	}
	return p.standing(ctx, key)
}
