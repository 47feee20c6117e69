package cache

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// errNoRoom refuses an entry for which a server has no room to spare.
var errNoRoom = errors.New("the server has no room to spare")

// rooms are what servers can spare. One that evicts nothing refuses every write once
// it is full, so that whoever can have enough different values made would take the
// locks on the same server from everybody. So values are kept off the last quarter of
// its memory: the maxmemory it was given, or all that the host has. A server that
// evicts makes room as it was told to, and one that does not say how it is doing is
// taken to be well.
type rooms struct {
	mu     sync.Mutex
	spared map[string]*room // guarded by mu; by server
}

// room is what a server can spare, as this process has last heard.
type room struct {
	asked   bool  // ever
	askAt   int64 // when it is to be asked next, once it was
	limited bool
	left    int64 // bytes that this process may add until then
}

const (
	roomPause  = 250 * time.Millisecond // between questions
	roomDenied = time.Minute            // likewise, where it is not to be asked
	// roomShare is the part of what is left that one process may take before it asks
	// again: there are others.
	roomShare = 4
	// roomUnasked is what a process may take before it asks at all.
	roomUnasked = 256 << 10
)

// take reports whether a server has room for an entry of n bytes, and takes it.
func (s *rooms) take(ctx context.Context, server string, client redis.UniversalClient, n int) bool {
	if s.due(server, int64(n)) {
		s.learn(server, askRoom(ctx, client))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.roomAt(server)
	if !one.limited {
		return true
	}
	one.left -= int64(n)
	return one.left >= 0
}

// due is true for one caller at a time; the others go by what was heard last, the
// first time by nothing.
func (s *rooms) due(server string, n int64) bool {
	at := now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.roomAt(server)
	switch {
	case !one.asked && one.left >= n, one.askAt > at:
		return false
	case !one.asked:
		one.asked, one.limited = true, false
	}
	one.askAt = at + int64(roomPause)
	return true
}

// roomAt is called with mu held.
func (s *rooms) roomAt(server string) *room {
	one := s.spared[server]
	if one == nil {
		if s.spared == nil || len(s.spared) >= maxServers {
			s.spared = map[string]*room{}
		}
		one = &room{limited: true, left: roomUnasked}
		s.spared[server] = one
	}
	return one
}

func (s *rooms) learn(server string, heard room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spared[server] = &heard
}

func askRoom(ctx context.Context, client redis.UniversalClient) room {
	info, err := client.Info(ctx, "memory").Result()
	var refused redis.Error
	if errors.As(err, &refused) {
		return room{asked: true, askAt: now() + int64(roomDenied)}
	}
	r := roomOf(info)
	r.asked, r.askAt = true, now()+int64(roomPause)
	return r
}

// roomOf reads the memory section of INFO, which is empty where it could not be had.
func roomOf(info string) (r room) {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = value
		}
	}
	used, limit := fieldBytes(fields["used_memory"]), fieldBytes(fields["maxmemory"])
	if limit == 0 {
		limit = fieldBytes(fields["total_system_memory"])
	}
	if limit == 0 || fields["maxmemory_policy"] != "noeviction" {
		return r
	}
	return room{limited: true, left: max(limit-limit/4-used, 0) / roomShare}
}

// fieldBytes is 0 for what is no number of bytes.
func fieldBytes(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// spares reports whether all places of an entry have room for it.
func (r *Redis) spares(ctx context.Context, key string, size int, places ...*place) bool {
	entry, _ := r.namesOf(key)
	for _, p := range places {
		if p == nil {
			continue
		}
		client := p.client
		if cluster, ok := client.(*redis.ClusterClient); ok {
			master, err := cluster.MasterForKey(ctx, entry)
			if err != nil {
				continue // the set will tell
			}
			client = master
		}
		if !r.rooms.take(ctx, p.serverOf(ctx, entry), client, size) {
			return false
		}
	}
	return true
}
