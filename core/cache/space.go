package cache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// space is one namespace in a Memory, fenced against purges: nothing enters it
// that was read or made before a purge that has been applied to it.
type space struct {
	mem *Memory
	id  uint32

	// era names the unbroken run of change notices that the space is kept up to
	// date by; 0 while there is none. A space without another tier stays in era 1.
	era  atomic.Uint64
	eras atomic.Uint64 // begun

	stripes [256]stripe

	// tagClock counts tag purges; tagged holds its value at the last purge of
	// each bucket of tags. Purging a tag so costs nothing per value, and a tag
	// that shares a bucket is purged along with it.
	tagClock atomic.Uint64
	tagged   [tagBuckets]atomic.Uint64
}

// stripe orders purges and admissions of the keys that share it.
type stripe struct {
	mu    sync.Mutex
	gen   uint64 // guarded by mu; counts purges
	fills uint64 // guarded by mu; counts fills of this process
}

// cell is a payload and what it takes to know that it still counts.
type cell struct {
	// content is nil once the cell has left the table, so that whoever still
	// holds it has nothing, and what it held is free at once.
	content atomic.Pointer[content]
	weight  uint32
	tags    []uint16 // buckets
	mark    mark
	loaded  int64
}

type content struct{ payload any }

// mark is the purge state a reader or a fetch started from.
type mark struct{ gen, fills, tags, era uint64 }

// microcache is how long something is served from memory without the notices
// that would tell of its purge.
const microcache = time.Second

var seed = maphash.MakeSeed()

func (s *space) stripeOf(key string) *stripe {
	return &s.stripes[maphash.String(seed, key)%uint64(len(s.stripes))]
}

func (s *space) tagBucket(tag string) uint16 {
	return uint16(maphash.String(seed, tag) % uint64(len(s.tagged)))
}

// mark must be taken before whatever admit is to admit was read or begun.
func (s *space) mark(key string) mark {
	m := mark{tags: s.tagClock.Load(), era: s.era.Load()}
	st := s.stripeOf(key)
	st.mu.Lock()
	m.gen, m.fills = st.gen, st.fills
	st.mu.Unlock()
	return m
}

// unpurged reports whether no purge that may concern a key was applied since a mark.
func (s *space) unpurged(key string, since mark) bool {
	m := s.mark(key)
	return m.gen == since.gen && m.tags == since.tags
}

// follow begins an era, or ends one.
func (s *space) follow(live bool) {
	if live {
		s.era.Store(s.eras.Add(1))
	} else {
		s.era.Store(0)
	}
}

// load finds a payload and says whether it is known to be current; one that is
// not may only be used while the tier behind it cannot be asked.
func (s *space) load(key string, at int64) (payload any, current bool) {
	c, content := s.find(key)
	return s.open(c, content, at)
}

// find returns a cell and its content, or nil. One that was emptied in between
// has been replaced, or is on its way out of the table.
func (s *space) find(key string) (*cell, *content) {
	for emptied := (*cell)(nil); ; {
		c, ok := s.mem.cells.GetIfPresent(cellKey{key, s.id})
		if !ok {
			return nil, nil
		}
		if content := c.content.Load(); content != nil || c == emptied {
			return c, content
		}
		emptied = c
	}
}

// open is load for whoever has the cell and its content, or nil.
func (s *space) open(c *cell, content *content, at int64) (payload any, current bool) {
	if content == nil || s.purged(c.tags, c.mark.tags) {
		return nil, false
	}
	era := s.era.Load()
	return content.payload, (era != 0 && c.mark.era == era) || at-c.loaded < int64(microcache)
}

// purged reports whether a tag was purged after the mark.
func (s *space) purged(buckets []uint16, since uint64) bool {
	if len(buckets) == 0 || s.tagClock.Load() == since {
		return false
	}
	for _, b := range buckets {
		if s.tagged[b].Load() > since {
			return true
		}
	}
	return false
}

// admit keeps what was found in the tier behind, unless its key or a tag was purged
// since the mark, or this process has filled the key: memory may have lost that fill
// by now, and nothing announces it here.
func (s *space) admit(key string, m mark, tags []string, payload any, size int) bool {
	c := s.newCell(key, m, tags, payload, size)
	st := s.stripeOf(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.fills == m.fills && s.put(st, key, c, payload)
}

// fill keeps what was made, unless its key or a tag was purged since the mark.
func (s *space) fill(key string, m mark, tags []string, payload any, size int) bool {
	c := s.newCell(key, m, tags, payload, size)
	st := s.stripeOf(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.fills++
	return s.put(st, key, c, payload)
}

// outdate lets go of what a payload that could not be kept was to replace.
func (s *space) outdate(key string, payload any) {
	st := s.stripeOf(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.fills++
	if !s.outdone(key, payload) {
		s.mem.cells.Invalidate(cellKey{key, s.id})
	}
}

func (s *space) newCell(key string, m mark, tags []string, payload any, size int) *cell {
	c := &cell{weight: weightOf(key, size), mark: m, loaded: now()}
	c.content.Store(&content{payload})
	for _, tag := range tags {
		c.tags = append(c.tags, s.tagBucket(tag))
	}
	return c
}

// outlived reports whether a cell's key or a tag was purged since its mark. A tag
// purge that comes after this look is seen by load instead. The caller holds st.mu.
func (s *space) outlived(st *stripe, c *cell) bool {
	return st.gen != c.mark.gen || s.purged(c.tags, c.mark.tags)
}

// put reports whether the payload's cell was not too late. The caller holds st.mu.
func (s *space) put(st *stripe, key string, c *cell, payload any) bool {
	if s.outlived(st, c) || s.outdone(key, payload) {
		return false
	}
	if uint64(c.weight) > s.mem.limit {
		s.mem.cells.Invalidate(cellKey{key, s.id})
	} else if old, added := s.mem.cells.Set(cellKey{key, s.id}, c); !added {
		old.content.Store(nil)
	}
	return true
}

// fenced is a payload that knows the fencing token it was made under; 0: none.
type fenced interface{ fencing() uint64 }

// outdone reports whether a later fill than the payload's is here: whoever looked into
// the tier behind before that fill must not put what it saw in its place.
func (s *space) outdone(key string, payload any) bool {
	ours, ok := payload.(fenced)
	if !ok {
		return false
	}
	held, ok := s.mem.cells.GetEntryQuietly(cellKey{key, s.id})
	if !ok {
		return false
	}
	content := held.Value.content.Load()
	if content == nil || s.purged(held.Value.tags, held.Value.mark.tags) {
		return false
	}
	theirs, ok := content.payload.(fenced)
	return ok && theirs.fencing() > ours.fencing()
}

// drop purges a key.
func (s *space) drop(key string) {
	st := s.stripeOf(key)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gen++
	s.mem.cells.Invalidate(cellKey{key, s.id})
}

// dropTags purges tags.
func (s *space) dropTags(tags []string) {
	clock := s.tagClock.Add(1)
	for _, tag := range tags {
		raise(&s.tagged[s.tagBucket(tag)], clock)
	}
}

// raise sets v to at least to.
func raise(v *atomic.Uint64, to uint64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}
