package guard

import (
	"hash/maphash"
	"sync"
)

// queue counts who waits for which key in this process, so that a flood of
// requests for one key is turned away before it costs memory or Redis anything.
type queue struct {
	limit  int
	seed   maphash.Seed
	shards *[queueShards]queueShard
}

const queueShards = 32

type queueShard struct {
	mu      sync.Mutex
	waiting map[string]int // guarded by mu; keys with a count above 0
}

func newQueue(limit int) queue {
	q := queue{limit: limit, seed: maphash.MakeSeed(), shards: new([queueShards]queueShard)}
	for i := range q.shards {
		q.shards[i].waiting = make(map[string]int)
	}
	return q
}

func (q *queue) shard(key string) *queueShard {
	return &q.shards[maphash.String(q.seed, key)%queueShards]
}

// enter reports whether there was room for one more. Who enters must leave.
func (q *queue) enter(key string) bool {
	s := q.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[key] >= q.limit {
		return false
	}
	s.waiting[key]++
	return true
}

func (q *queue) leave(key string) {
	s := q.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[key]--; s.waiting[key] == 0 {
		delete(s.waiting, key)
	}
}
