package cache

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// debts are the purges that shards of a Ring have missed: this process repeats
// them on a shard before it uses it again, and while it listens, as soon as it
// hears of it.
type debts struct {
	any atomic.Bool // whether there are any; spares those without the mutex

	mu   sync.Mutex
	owed map[string]*debt // guarded by mu; by shard
}

// debt is the purges of one shard.
type debt struct{ keys, tags map[string]struct{} }

// maxDebt bounds what is remembered of a shard's keys, and of its tags: about a
// megabyte. What is beyond is its caller's to repeat, who was told so.
const maxDebt = 10_000

func (d *debts) add(shard string, what purge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owed == nil {
		d.owed = map[string]*debt{}
	}
	one := d.owed[shard]
	if one == nil {
		one = &debt{map[string]struct{}{}, map[string]struct{}{}}
		d.owed[shard] = one
	}
	remember(one.keys, what.keys)
	remember(one.tags, what.tags)
	d.any.Store(true)
}

func remember(set map[string]struct{}, names []string) {
	for _, name := range names {
		if len(set) >= maxDebt {
			return
		}
		set[name] = struct{}{}
	}
}

func (d *debts) of(shard string) purge {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.owed[shard]
	if one == nil {
		return purge{}
	}
	return purge{slices.Collect(maps.Keys(one.keys)), slices.Collect(maps.Keys(one.tags))}
}

// paid takes off what has been repeated; more may have come meanwhile.
func (d *debts) paid(shard string, what purge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.owed[shard]
	if one == nil {
		return
	}
	for _, key := range what.keys {
		delete(one.keys, key)
	}
	for _, tag := range what.tags {
		delete(one.tags, tag)
	}
	if len(one.keys)+len(one.tags) == 0 {
		delete(d.owed, shard)
		d.any.Store(len(d.owed) > 0)
	}
}

// settle repeats at a place the purges that it missed. Whoever gets an error must
// not use the place.
func (p *place) settle(ctx context.Context) error {
	if !p.r.debts.any.Load() {
		return nil
	}
	what := p.r.debts.of(p.name)
	if err := p.apply(ctx, what); err != nil {
		return err
	}
	p.r.debts.paid(p.name, what)
	return nil
}
