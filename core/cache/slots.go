package cache

import "sync"

// slots are room for operations, for each server by itself: one that is slow to answer
// takes up none of the others'.
type slots struct {
	mu       sync.Mutex
	byServer map[string]chan struct{} // guarded by mu; one value per operation under way, also given-up ones
}

const (
	maxPending = 256 // operations under way on a server
	// maxServers bounds what is remembered of servers, those that are gone for good
	// included: more than a Cluster can have.
	maxServers = 1024
)

// of is where whoever asks the server puts a value first, and takes one out when the
// answer is there.
func (s *slots) of(server string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byServer[server]
	if one == nil {
		if s.byServer == nil || len(s.byServer) >= maxServers {
			s.byServer = map[string]chan struct{}{}
		}
		one = make(chan struct{}, maxPending)
		s.byServer[server] = one
	}
	return one
}
