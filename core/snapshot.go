package core

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is what this process holds and waits for at one moment, for debug
// pages and reports. Nothing of it was asked of Redis.
type Snapshot struct {
	At     time.Time
	Locks  []LockInfo // held here, the oldest first
	Queues []Queue    // keys waited for here, the longest queue first
	Held   int        // locks held, those left out of Locks among them
	Queued int        // keys waited for, those left out of Queues among them
}

// Queue is who waits for one key in this process.
type Queue struct {
	Key      string
	Waiting  int       // callers
	Since    time.Time // when the one at the head began to wait
	HeldHere bool      // the holder is in this process too
}

// Snapshot lists at most limit locks and at most limit queues; it counts all of
// them. Counting takes time in proportion to what is held and waited for, about
// a tenth of a microsecond each, for which other calls wait.
func (m *Manager) Snapshot(limit int) Snapshot {
	held, queues := m.snapshot()
	s := Snapshot{At: time.Now(), Held: len(held), Queued: len(queues)}
	slices.SortFunc(held, func(a, b *Lock) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.Key(), b.Key()))
	})
	for _, l := range held[:min(max(limit, 0), len(held))] {
		s.Locks = append(s.Locks, l.Info())
	}
	slices.SortFunc(queues, func(a, b Queue) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key))
	})
	s.Queues = queues[:min(max(limit, 0), len(queues))]
	return s
}

// snapshot looks at every gate in one critical section, so that a key has one
// holder at most and nobody is seen both holding it and waiting for it.
func (m *Manager) snapshot() (held []*Lock, queues []Queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.gates {
		if g.holder != nil {
			held = append(held, g.holder)
		}
		if q := g.snapshot(); q.Waiting > 0 {
			queues = append(queues, q)
		}
	}
	return held, queues
}

// snapshot counts the waiters. One that stands in Redis waits only once it was
// refused there; before that its first round is under way. The Manager's mu is
// held.
func (g *gate) snapshot() Queue {
	q := Queue{Key: g.key, HeldHere: g.holder != nil}
	first := g.head
	if g.standing != nil && g.last.contention {
		q.Waiting, first = 1, g.standing
	}
	for w := g.head; w != nil; w = w.next {
		q.Waiting++
	}
	if first != nil {
		q.Since = first.start
	}
	return q
}
