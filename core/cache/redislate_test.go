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
					time.Sleep(lifetime) // a slow answer alone would make it look over
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

// TestAFillAgesWhileItIsStored: what a server learns after a while is as old as that,
// however many round trips it took.
func TestAFillAgesWhileItIsStored(t *testing.T) {
	t.Parallel()
	const lifetime, slow = 20 * time.Second, 200 * time.Millisecond
	node := coretest.Redis(t, 1).Node(0)
	proxy, err := coretest.StartProxy(node.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, proxy.Close()) }()
	opt := node.Options()
	opt.Network, opt.Addr = "tcp", proxy.Addr()
	store := cache.NewRedis(dial(t, opt))
	proxy.Delay(slow, 0)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begun := time.Now()
	require.NoError(t, store.Set(ctx, "k", cache.Item{Value: []byte("v"), TTL: lifetime}))
	age := time.Since(begun)
	require.Greater(t, age, 2*slow, "the clock of the server is asked for first")
	reader := cache.NewRedis(dial(t, node.Options()))
	it, err := reader.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(it.Value))
	require.LessOrEqual(t, it.TTL, lifetime-age+time.Millisecond)
}

// TestLateFillAfterASlowLookIsRefused: a server that was slow to say what its clock
// shows is given no more time for a fill than one that was quick.
func TestLateFillAfterASlowLookIsRefused(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	locks, store := coretest.Redis(t, 1), coretest.Redis(t, 1).Node(0)
	c := open[string](t, cache.Config{
		Fresh: time.Hour, StoreTimeout: timeout, Locks: manager(t, locks.Clients()), Store: cache.NewRedis(dial(t, store.Options())),
	}.WithPatience(time.Millisecond))
	require.Eventually(t, func() bool { // the server knows the script now
		r, err := c.Do(t.Context(), cache.Call[string]{Key: "other", Fetch: value("v"), Force: true})
		return err == nil && r.Stored
	}, patience, time.Millisecond)
	before, err := manager(t, locks.Clients()).Acquire(t.Context(), "lock")
	require.NoError(t, err)
	result := make(chan cache.Result[string], 1)
	go func() {
		r, err := c.Do(t.Context(), cache.Call[string]{Key: "k", Lock: "lock", Fetch: func(context.Context) (string, error) {
			assert.NoError(t, store.Freeze())
			return "late", nil
		}})
		assert.NoError(t, err)
		result <- r
	}()
	require.Eventually(t, func() bool { // it has looked, and will look again once it has the lock
		contested := c.Contested("k")
		return contested != nil && isClosed(contested)
	}, patience, time.Millisecond)
	require.NoError(t, store.Freeze())
	require.NoError(t, before.Release(t.Context()))
	time.Sleep(timeout * 6 / 10) // the look takes as long
	require.NoError(t, store.Thaw())
	assert.False(t, (<-result).Stored)
	require.NoError(t, store.Thaw())
	reader := open[string](t, cache.Config{Fresh: time.Minute, Store: cache.NewRedis(dial(t, store.Options()))})
	for range 20 {
		_, ok := reader.Peek(t.Context(), "k")
		assert.False(t, ok, "given up before it was stored")
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
