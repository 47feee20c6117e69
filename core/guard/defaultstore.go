package guard

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

const defaultMemory = 64 << 20

// defaultStore is memory over the Redis nodes of the Manager, each response on
// two of them: caching needs no quorum. It returns what to close, if anything.
func defaultStore(locks *core.Manager) (store cache.Store, closing func() error) {
	near := cache.NewMemory(defaultMemory)
	client := shared.open(locks)
	if client == nil {
		return near, func() error { return nil }
	}
	return cache.NewTiered(near, cache.NewRedis(client)), func() error { return shared.close(locks) }
}

// clients are the connections to the nodes, one set for all Guards of a Manager.
type clients struct {
	mu        sync.Mutex
	byManager map[*core.Manager]*sharedClient // guarded by mu
}

type sharedClient struct {
	client redis.UniversalClient
	users  int
}

var shared = clients{byManager: map[*core.Manager]*sharedClient{}}

func (c *clients) open(locks *core.Manager) redis.UniversalClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byManager[locks]
	if s == nil {
		client := dial(locks.NodeOptions())
		if client == nil {
			return nil
		}
		s = &sharedClient{client: client}
		c.byManager[locks] = s
	}
	s.users++
	return s.client
}

func (c *clients) close(locks *core.Manager) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byManager[locks]
	if s.users--; s.users > 0 {
		return nil
	}
	delete(c.byManager, locks)
	return s.client.Close()
}

// dial connects to one server, and to several as a Ring.
func dial(nodes []*redis.Options) redis.UniversalClient {
	if len(nodes) == 0 {
		return nil
	}
	for _, opt := range nodes {
		// A connection may have ended unseen, so one retry; a dead node is for the
		// Ring and the Store to go around.
		opt.DialerRetries, opt.MaxRetries, opt.ContextTimeoutEnabled = 1, 1, true
	}
	if len(nodes) == 1 {
		return redis.NewClient(nodes[0])
	}
	const heartbeat = 50 * time.Millisecond // three missed ones and a node's keys go to the others
	addrs := map[string]string{}
	byAddr := map[string]*redis.Options{}
	for _, opt := range nodes {
		addrs[opt.Addr] = opt.Addr
		byAddr[opt.Addr] = opt
	}
	return redis.NewRing(&redis.RingOptions{
		Addrs:              addrs,
		HeartbeatFrequency: heartbeat,
		// A Ring knows one set of options; each node has its own.
		NewClient: func(opt *redis.Options) *redis.Client { return redis.NewClient(byAddr[opt.Addr]) },
	})
}
