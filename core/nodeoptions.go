package core

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// NodeTimeout returns Config.NodeTimeout, or its default: how long one node may take
// to answer.
func (m *Manager) NodeTimeout() time.Duration { return m.cfg.NodeTimeout }

// NodeOptions returns how to connect to the nodes that are single servers, for
// other uses of the same Redis, such as the store of a cache. Deployments of several
// servers, such as a Cluster, are left out. The options are copies.
func (m *Manager) NodeOptions() []*redis.Options {
	var list []*redis.Options
	for _, n := range m.nodes {
		if n.given == nil {
			continue
		}
		opt := *n.given
		opt.PushNotificationProcessor = nil // belongs to another client
		list = append(list, &opt)
	}
	return list
}
