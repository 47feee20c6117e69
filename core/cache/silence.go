package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// silence is which servers of a store have not answered, several times in a row.
// They are left alone for a while, save for one attempt a pause; the others are
// none the worse for it.
type silence struct {
	any atomic.Bool // whether there are streaks; spares those without the mutex

	mu      sync.Mutex
	streaks map[string]*streak // guarded by mu; by server
}

// streak is the timeouts since a server's last answer.
type streak struct {
	timeouts int
	retryAt  int64 // when the next attempt may be made
}

const (
	maxSilent    = 3           // timeouts in a row before a server is left alone
	silencePause = time.Second // and for how long, from the end of an attempt
)

// keptBy reports whether the server is to be left alone now.
func (s *silence) keptBy(server string) bool {
	if !s.any.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.streaks[server]
	if one == nil || one.timeouts < maxSilent {
		return false
	}
	at := now()
	if at < one.retryAt {
		return true
	}
	one.retryAt = at + int64(silencePause)
	return false
}

func (s *silence) timedOut(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.streaks[server]
	if one == nil {
		if s.streaks == nil || len(s.streaks) >= maxServers {
			s.streaks = map[string]*streak{}
		}
		one = &streak{}
		s.streaks[server] = one
	}
	if one.timeouts++; one.timeouts >= maxSilent {
		one.retryAt = now() + int64(silencePause)
	}
	s.any.Store(true)
}

func (s *silence) answered(server string) {
	if !s.any.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streaks, server)
	s.any.Store(len(s.streaks) > 0)
}
