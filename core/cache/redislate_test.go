package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestLateFillIsRefused: a server that was frozen wakes and finds a fill that was
// given up long ago. It would have made an old value young, and stored without
// the lock.
func TestLateFillIsRefused(t *testing.T) {
	t.Parallel()
	const lifetime = 300 * time.Millisecond
	for name, start := range map[string]func() (*coretest.Nodes, func() redis.UniversalClient){
		"one": func() (*coretest.Nodes, func() redis.UniversalClient) {
			nodes := coretest.Redis(t, 1)
			return nodes, func() redis.UniversalClient { return dial(t, nodes.Node(0).Options()) }
		},
		"ring": func() (*coretest.Nodes, func() redis.UniversalClient) {
			nodes := coretest.Redis(t, 3)
			return nodes, func() redis.UniversalClient {
				return ringClientWith(t, nodes, redis.RingOptions{ContextTimeoutEnabled: true, MaxRetries: -1})
			}
		},
		"cluster": func() (*coretest.Nodes, func() redis.UniversalClient) {
			cluster := coretest.Cluster(t, 3)
			return cluster.Nodes, func() redis.UniversalClient { return clusterClient(t, cluster) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, connect := start()
			for _, tc := range []struct {
				before         int // fills that this process has made already
				timeout, lease time.Duration
			}{
				{0, 100 * time.Millisecond, 0},
				{1, 100 * time.Millisecond, 0},
				{0, patience, 200 * time.Millisecond}, // whose end also ends the fill
			} {
				locks := coretest.Redis(t, 1)
				c := open[string](t, cache.Config{
					Fresh: lifetime, StoreTimeout: tc.timeout, LockTTL: tc.lease,
					Locks: manager(t, locks.Clients()), Store: cache.NewRedis(connect()),
				})
				for range tc.before {
					require.Eventually(t, func() bool {
						r, err := c.Lookup(t.Context(), "k", value("before"))
						return err == nil && r.Stored
					}, patience, time.Millisecond)
					require.Eventually(t, func() bool {
						unanswered := c.Stats().StoreErrors
						_, ok := c.Peek(t.Context(), "k")
						return !ok && c.Stats().StoreErrors == unanswered // the store says that it is over
					}, patience, time.Millisecond)
				}
				var frozen time.Time
				r, err := c.Lookup(t.Context(), "k", func(context.Context) (string, error) {
					for _, n := range nodes.All() {
						assert.NoError(t, n.Freeze())
					}
					frozen = time.Now()
					return "late", nil
				})
				assert.Less(t, time.Since(frozen), 2*time.Second, "nor is anybody asked to announce it")
				require.NoError(t, err)
				assert.False(t, r.Stored)
				time.Sleep(2 * lifetime) // the value is as old as that; nothing waits for it
				for _, n := range nodes.All() {
					require.NoError(t, n.Thaw())
				}
				reader := open[string](t, cache.Config{Fresh: time.Minute, Store: cache.NewRedis(connect())})
				for range 20 {
					_, ok := reader.Peek(t.Context(), "k")
					assert.False(t, ok, "older than it may be")
				}
			}
		})
	}
}
