package cache

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
)

// Memory is a Store in this process, bounded in bytes. When it is full it
// forgets what is least likely to be asked for again (W-TinyLFU); it can exceed
// its bound for a moment under a burst, and may refuse what has just arrived.
//
// A [Cache] on a Memory, alone or as the near tier of [NewTiered], keeps decoded
// values in it, so that a hit costs neither decoding nor allocation. Expired
// entries are invisible at once and go when they are next asked for or when
// their room is needed.
type Memory struct {
	cells *otter.Cache[cellKey, *cell]
	limit uint64

	mu     sync.Mutex
	spaces map[string]*space // guarded by mu; by namespace
	own    *space            // of the Store methods
}

// cellKey keeps namespaces apart without joining strings on the way to a hit. It
// hashes in less than half the time with its string in front.
type cellKey struct {
	key   string
	space uint32
}

// cellOverhead is about what the table, the policy and the cell itself take.
const cellOverhead = 256

// NewMemory makes a Memory of at most limit bytes, which must be positive.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		panic(fmt.Sprintf("dlm/cache: NewMemory(%d): the limit is in bytes and must be positive", limit))
	}
	m := &Memory{limit: uint64(limit), spaces: map[string]*space{}}
	m.cells = otter.Must(&otter.Options[cellKey, *cell]{
		MaximumWeight:    uint64(limit),
		Weigher:          func(k cellKey, c *cell) uint32 { return c.weight },
		OnAtomicDeletion: empty,
	})
	m.own = m.spaceOf("\x00bytes")
	return m
}

// empty takes the content of a cell that leaves the table, before anybody can see
// that it has left. Whoever replaces one empties it when the next one is there:
// in between, no reader shall find nothing.
func empty(e otter.DeletionEvent[cellKey, *cell]) {
	if e.Cause != otter.CauseReplacement {
		e.Value.content.Store(nil)
	}
}

// spaceOf is the namespace's part of the Memory, the same one for everybody.
func (m *Memory) spaceOf(namespace string) *space {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.spaces[namespace]
	if !ok {
		s = &space{mem: m, id: uint32(len(m.spaces))}
		s.follow(true) // until another tier says otherwise
		m.spaces[namespace] = s
	}
	return s
}

func weightOf(key string, size int) uint32 {
	return uint32(min(uint64(len(key))+uint64(max(size, 0))+cellOverhead, math.MaxUint32))
}

// memoryItem is what the Store methods keep in a cell.
type memoryItem struct {
	value   []byte
	expires int64
	fence   uint64
	tags    []string
}

// Get implements [Store].
func (m *Memory) Get(_ context.Context, key string) (Item, error) {
	it := Item{}
	at := m.own.mark(key)
	seen := uint64(0)
	if payload, _ := m.own.load(key, now()); payload != nil {
		if found := payload.(*memoryItem); now() < found.expires {
			it.Value, it.TTL, it.Fence = bytes.Clone(found.value), time.Duration(found.expires-now()), found.fence
			it.Tags, seen = slices.Clone(found.tags), found.fence
		}
	}
	it.Mark = fmt.Sprintf("%d %d %d", at.gen, at.tags, seen)
	return it, nil
}

// Set implements [Store].
func (m *Memory) Set(_ context.Context, key string, it Item) error {
	if it.TTL <= 0 {
		return fmt.Errorf("%w: TTL %v: must be positive", ErrInvalid, it.TTL)
	}
	at := m.own.mark(key)
	if it.Mark != "" {
		var seen uint64
		if _, err := fmt.Sscanf(it.Mark, "%d %d %d", &at.gen, &at.tags, &seen); err != nil {
			return fmt.Errorf("%w: Mark %q: not one of this store", ErrInvalid, it.Mark)
		}
		if payload, _ := m.own.load(key, now()); payload != nil {
			if found := payload.(*memoryItem).fence; found != seen && found > it.Fence {
				return ErrFenced
			}
		}
	}
	kept := &memoryItem{value: bytes.Clone(it.Value), expires: now() + int64(it.TTL), fence: it.Fence, tags: slices.Clone(it.Tags)}
	if !m.own.fill(key, at, it.Tags, kept, len(it.Value)) {
		return ErrFenced
	}
	return nil
}

// Delete implements [Store].
func (m *Memory) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		m.own.drop(key)
	}
	return nil
}

// DeleteTags implements [Store].
func (m *Memory) DeleteTags(_ context.Context, tags ...string) error {
	m.own.dropTags(tags)
	return nil
}
