package core

import (
	"github.com/redis/go-redis/v9"
)

// Ring is a client over the Manager's nodes that spreads keys among them, for
// data that may live beside the locks and may be lost with a node, such as
// cached responses. It is made on first use and closed with the Manager. It
// knows nothing of quorums: never lock through it.
//
// Nodes that are deployments of their own (a Cluster, a Ring) are left out
// unless there is nothing else, when the first of them is the client.
func (m *Manager) Ring() redis.UniversalClient {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ring == nil && !m.closed {
		m.ring = newRing(m.nodes)
	}
	if m.ring == nil {
		return m.nodes[0].pub
	}
	return m.ring
}

// newRing is nil when no node is a single server.
func newRing(nodes []*node) *redis.Ring {
	addrs, options := map[string]string{}, map[string]*redis.Options{}
	for _, n := range nodes {
		if n.many {
			continue
		}
		// The shard's place on the ring comes from its address, so that every
		// process spreads keys alike whatever the order of its configuration.
		addrs[n.name] = n.name
		options[n.name] = n.options
	}
	if len(addrs) == 0 {
		return nil
	}
	return redis.NewRing(&redis.RingOptions{
		Addrs: addrs,
		NewClient: func(opt *redis.Options) *redis.Client {
			own := *options[opt.Addr]
			own.ContextTimeoutEnabled = true
			return redis.NewClient(&own)
		},
	})
}
