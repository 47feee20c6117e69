package cache_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The test binary is also the other processes of the fleet; see fleet_test.go.
func TestMain(m *testing.M) {
	if task := os.Getenv(fleetTask); task != "" {
		os.Exit(runFleetTask(task))
	}
	goleak.VerifyTestMain(m)
}

// patience is how long what must happen may take: a loaded machine is not an outage.
const patience = 20 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// manager is a lock manager on nodes that have time to answer, closed with the test.
func manager(t testing.TB, clients []redis.UniversalClient) *core.Manager {
	t.Helper()
	return managerWithin(t, patience, clients)
}

// managerWithin is for nodes that do not answer.
func managerWithin(t testing.TB, nodeTimeout time.Duration, clients []redis.UniversalClient) *core.Manager {
	t.Helper()
	m, err := core.New(core.Config{Clients: clients, NodeTimeout: nodeTimeout, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// open is a Cache that is closed with the test.
func open[V any](t testing.TB, cfg cache.Config) *cache.Cache[V] {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet
	}
	if cfg.StoreTimeout == 0 {
		cfg.StoreTimeout = patience
	}
	c, err := cache.New[V](cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// fleet is what several processes would have: caches that share nothing but Redis.
func fleet[V any](t testing.TB, nodes *coretest.Nodes, n int, cfg cache.Config) []*cache.Cache[V] {
	t.Helper()
	caches := make([]*cache.Cache[V], n)
	for i := range caches {
		cfg.Locks = manager(t, nodes.Clients())
		cfg.Store = cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(dial(t, nodes.Node(0).Options())))
		caches[i] = open[V](t, cfg)
		require.Eventually(t, func() bool { return caches[i].Stats().Coherent }, patience, time.Millisecond)
	}
	return caches
}

func dial(t testing.TB, opt *redis.Options) *redis.Client {
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// value is a fetch that returns v.
func value[V any](v V) func(context.Context) (V, error) {
	return func(context.Context) (V, error) { return v, nil }
}

// unexpected is a fetch that must not run.
func unexpected[V any](t testing.TB) func(context.Context) (V, error) {
	return func(context.Context) (v V, _ error) {
		t.Error("fetched although a stored value should have been served")
		return v, nil
	}
}

func clusterClient(t testing.TB, c *coretest.ClusterNodes) *redis.ClusterClient {
	client := redis.NewClusterClient(c.Options())
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func ringClient(t testing.TB, nodes *coretest.Nodes) *redis.Ring {
	return ringClientWith(t, nodes, redis.RingOptions{})
}

func ringClientWith(t testing.TB, nodes *coretest.Nodes, opt redis.RingOptions) *redis.Ring {
	opt.Addrs = map[string]string{}
	for _, n := range nodes.All() {
		opt.Addrs[n.Addr()] = n.Addr()
	}
	client := redis.NewRing(&opt)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
