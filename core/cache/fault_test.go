package cache_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// together runs n lookups of one key at once. A fetch ends when all have come.
func together(t *testing.T, c *cache.Cache[string], key string, n int) (fetches int, errs []error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		count atomic.Int32
	)
	for range n {
		wg.Go(func() {
			_, err := c.Get(t.Context(), key, func(context.Context) (string, error) {
				count.Add(1)
				assert.Eventually(t, func() bool { return c.Aboard(key) == n }, patience, time.Millisecond)
				return "v", nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return int(count.Load()), errs
}

func TestLockServiceDown(t *testing.T) {
	t.Parallel()
	for _, freeze := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen %v", freeze), func(t *testing.T) {
			nodes, store := coretest.Redis(t, 3), coretest.Redis(t, 1)
			config := func(f cache.Failure) cache.Config {
				return cache.Config{
					Fresh: time.Minute, OnLockFailure: f, Locks: managerWithin(t, time.Second, nodes.Clients()),
					Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(dial(t, store.Node(0).Options()))),
				}
			}
			open1, closed := open[string](t, config(cache.FailOpen)), open[string](t, config(cache.FailClosed))
			_, err := closed.Get(t.Context(), "stored before", value("v"))
			require.NoError(t, err)
			for _, n := range nodes.All() {
				if freeze {
					require.NoError(t, n.Freeze())
				} else {
					require.NoError(t, n.Kill())
				}
			}
			fetches, errs := together(t, open1, "k", 50)
			assert.Empty(t, errs)
			assert.Equal(t, 1, fetches, "the local collapse is still in force")
			assert.NotZero(t, open1.Stats().Unguarded, "nothing is stored without the lock")
			_, ok := open1.Peek(t.Context(), "k")
			assert.False(t, ok)

			fetches, errs = together(t, closed, "k", 50)
			assert.Zero(t, fetches)
			require.Len(t, errs, 50)
			assert.ErrorIs(t, errs[0], core.ErrNoQuorum)
			assert.NotErrorIs(t, errs[0], cache.ErrStore)
			_, err = closed.Get(t.Context(), "stored before", unexpected[string](t))
			assert.NoError(t, err, "what is stored needs no lock")
			if freeze {
				for _, n := range nodes.All() {
					require.NoError(t, n.Thaw())
				}
			}
		})
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, freeze := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen %v", freeze), func(t *testing.T) {
			nodes, store := coretest.Redis(t, 1), coretest.Redis(t, 1)
			config := func(f cache.Failure) cache.Config {
				return cache.Config{
					Fresh: time.Minute, OnStoreFailure: f, StoreTimeout: 100 * time.Millisecond, Locks: manager(t, nodes.Clients()),
					Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(dial(t, store.Node(0).Options()))),
				}
			}
			open1, closed := open[string](t, config(cache.FailOpen)), open[string](t, config(cache.FailClosed))
			stored(t, open1, "v", "stored before")
			if freeze {
				require.NoError(t, store.Node(0).Freeze())
			} else {
				require.NoError(t, store.Node(0).Kill())
			}
			// Nobody may join what was under way when announcements ceased to arrive.
			require.Eventually(t, func() bool { return !open1.Stats().Coherent }, patience, time.Millisecond)
			fetches, errs := together(t, open1, "k", 50)
			assert.Empty(t, errs)
			assert.Equal(t, 1, fetches)
			_, err := open1.Get(t.Context(), "stored before", unexpected[string](t))
			assert.NoError(t, err, "memory stands in for the store")
			assert.ErrorIs(t, open1.Invalidate(t.Context(), "stored before"), cache.ErrStore)
			_, ok := open1.Peek(t.Context(), "stored before")
			assert.False(t, ok, "the purge holds here all the same")

			fetches, errs = together(t, closed, "k", 50)
			assert.Zero(t, fetches)
			require.Len(t, errs, 50)
			assert.ErrorIs(t, errs[0], cache.ErrStore)

			if freeze {
				require.NoError(t, store.Node(0).Thaw())
			} else {
				require.NoError(t, store.Node(0).Restart())
			}
			require.Eventually(t, func() bool {
				r, err := open1.Lookup(t.Context(), "back", value("v"))
				return err == nil && (r.Stored || r.State == cache.Fresh) && open1.Stats().Coherent
			}, patience, 10*time.Millisecond)
		})
	}
}

func TestFilledElsewhereReplacesWhatIsInMemory(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	caches := fleet[int](t, nodes, 2, cache.Config{Fresh: time.Minute})
	a, b := caches[0], caches[1]
	for _, c := range caches {
		require.Eventually(t, func() bool { // a notice of the fill may still be on its way
			v, err := c.Get(t.Context(), "k", value(1))
			_, ok := c.Hit("k")
			return err == nil && v == 1 && ok
		}, patience, time.Millisecond)
	}
	_, err := a.Refresh(t.Context(), "k", value(2))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		v, err := b.Get(t.Context(), "k", unexpected[int](t))
		return err == nil && v == 2
	}, patience, time.Millisecond)
	r, ok := a.Hit("k")
	assert.True(t, ok, "a fill's own announcement does not drop it")
	assert.Equal(t, 2, r.Value)
}

func TestPurgeDuringAFetchIsNotUndone(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"key here", "key elsewhere", "tag here", "tag elsewhere"} {
		t.Run(how, func(t *testing.T) {
			nodes := coretest.Redis(t, 1)
			caches := fleet[*page](t, nodes, 2, cache.Config{Fresh: time.Minute})
			made := make(chan *page)
			began := make(chan struct{})
			slow := func(context.Context) (*page, error) { close(began); return <-made, nil }
			old := make(chan error, 1)
			go func() { _, err := caches[0].Get(t.Context(), "k", slow); old <- err }()
			<-began
			by := caches[0]
			if how == "key elsewhere" || how == "tag elsewhere" {
				by = caches[1]
			}
			if how == "key here" || how == "key elsewhere" {
				require.NoError(t, by.Invalidate(t.Context(), "k"))
			} else {
				require.NoError(t, by.InvalidateTag(t.Context(), "red"))
			}
			// Callers from now on may not join what began before.
			joined := make(chan *page, 1)
			if by == caches[0] {
				go func() {
					p, err := by.Get(t.Context(), "k", value(&page{"new", cache.Policy{Fresh: time.Minute}}))
					assert.NoError(t, err)
					joined <- p
				}()
			}
			made <- &page{"old", cache.Policy{Fresh: time.Minute, Tags: []string{"red"}}}
			require.NoError(t, <-old, "the caller from before the purge has its value")
			if by == caches[0] {
				assert.Equal(t, "new", (<-joined).Body)
			}
			for _, c := range caches {
				p, err := c.Get(t.Context(), "k", value(&page{"newer", cache.Policy{Fresh: time.Minute}}))
				require.NoError(t, err)
				assert.NotEqual(t, "old", p.Body)
			}
		})
	}
}

func TestLostMessagesAreNoticed(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	caches := fleet[int](t, nodes, 2, cache.Config{Fresh: time.Hour})
	for _, c := range caches {
		_, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
	}
	// The purge's announcement is lost: whoever listens is cut off while it is sent.
	admin := nodes.Node(0).Client()
	require.NoError(t, admin.ClientPause(t.Context(), 0).Err())
	require.NoError(t, admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
	require.NoError(t, caches[0].Invalidate(t.Context(), "k"))
	require.Eventually(t, func() bool { // in up to 3 s; without notice it would take the hour
		v, err := caches[1].Get(t.Context(), "k", value(2))
		return err == nil && v == 2
	}, patience, time.Millisecond)
	require.Eventually(t, func() bool { return caches[1].Stats().Coherent }, patience, time.Millisecond)
}

func TestHalfOpenSubscriptionIsNoticed(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	proxy := coretest.ProxyTo(t, nodes.Node(0).URL())
	opt, err := redis.ParseURL(proxy.URL())
	require.NoError(t, err)
	c := open[int](t, cache.Config{Fresh: time.Hour, Locks: manager(t, nodes.Clients()),
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(dial(t, opt)))})
	require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
	proxy.Hold()
	require.Eventually(t, func() bool { return !c.Stats().Coherent }, patience, time.Millisecond)
	require.NoError(t, proxy.Resume())
	require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
}

func TestForeignEntriesAreMisses(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	client := nodes.Node(0).Client()
	c := open[string](t, cache.Config{Fresh: time.Minute, Locks: manager(t, nodes.Clients()), Store: cache.NewRedis(client), MaxValue: 1 << 10})
	_, err := c.Get(t.Context(), "k", value("good"))
	require.NoError(t, err)
	keys, err := nodes.Node(0).Keys("dlm:c1:")
	require.NoError(t, err)
	var entry string
	for _, k := range keys {
		if client.PTTL(t.Context(), k).Val() > 0 && len(k) > 10 && k[len(k)-1] == 'k' {
			entry = k
		}
	}
	require.NotEmpty(t, entry)
	good := client.Get(t.Context(), entry).Val()
	for name, plant := range map[string]func() error{
		"garbage":   func() error { return client.Set(t.Context(), entry, "garbage", time.Minute).Err() },
		"cut short": func() error { return client.Set(t.Context(), entry, good[:len(good)-1], time.Minute).Err() },
		"bit flip":  func() error { return client.Set(t.Context(), entry, good[:len(good)-2]+"!\"", time.Minute).Err() },
		"no expiry": func() error { return client.Set(t.Context(), entry, good, 0).Err() },
		"a list":    func() error { client.Del(t.Context(), entry); return client.LPush(t.Context(), entry, "x").Err() },
		"old form":  func() error { return client.Set(t.Context(), entry, "dr\x01"+good[3:], time.Minute).Err() },
		"new form":  func() error { return client.Set(t.Context(), entry, "dr\x7f"+good[3:], time.Minute).Err() },
		"huge": func() error {
			return client.Set(t.Context(), entry, good+strings.Repeat("x", 1<<20), time.Minute).Err()
		},
		"empty": func() error { return client.Set(t.Context(), entry, "", time.Minute).Err() },
	} {
		require.NoError(t, plant())
		r, err := c.Lookup(t.Context(), "k", value(name))
		require.NoError(t, err)
		assert.Equal(t, cache.Fetched, r.State, name)
		assert.True(t, r.Stored, "%s: replaced", name)
		r, err = c.Lookup(t.Context(), "k", unexpected[string](t))
		require.NoError(t, err)
		assert.Equal(t, name, r.Value)
	}
	assert.EqualValues(t, 2*7, c.Stats().Corrupt, "before the lock and with it, all but the empty one and the list")
}

func TestLostLeaseStoresNothing(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	locks := manager(t, nodes.Clients())
	c := open[string](t, cache.Config{Fresh: time.Minute, Locks: locks, LockTTL: time.Second, Store: cache.NewRedis(dial(t, nodes.Node(0).Options()))})
	v, err := c.Get(t.Context(), "k", func(ctx context.Context) (string, error) {
		require.NoError(t, nodes.FlushAll())
		<-ctx.Done()
		assert.ErrorIs(t, context.Cause(ctx), core.ErrLost)
		return "made without the lock", nil
	})
	require.NoError(t, err)
	assert.Equal(t, "made without the lock", v)
	_, ok := c.Peek(t.Context(), "k")
	assert.False(t, ok)
	assert.EqualValues(t, 1, c.Stats().Unguarded)
}

func TestLongFetchKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[string](t, cache.Config{Fresh: time.Minute, Locks: manager(t, coretest.Piped(t, 1).Clients()), LockTTL: time.Second})
		r, err := c.Lookup(t.Context(), "k", func(ctx context.Context) (string, error) {
			select {
			case <-time.After(5 * time.Second):
				return "done", nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
		require.NoError(t, err)
		assert.True(t, r.Stored)
	})
}

// silent is a Store that never answers.
type silent struct{ cache.Store }

func (silent) Get(ctx context.Context, _ string) (cache.Item, error) {
	<-ctx.Done()
	return cache.Item{}, ctx.Err()
}

func TestSilentStoreCostsItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 100 * time.Millisecond
		get := func(c *cache.Cache[int], key string) (time.Duration, error) {
			begun := time.Now()
			_, err := c.Get(t.Context(), key, value(1))
			return time.Since(begun), err
		}
		config := cache.Config{Fresh: time.Hour, StoreTimeout: timeout, Store: silent{}, Locks: manager(t, coretest.Piped(t, 1).Clients())}
		config.OnStoreFailure = cache.FailClosed
		took, err := get(open[int](t, config), "k")
		assert.ErrorIs(t, err, cache.ErrStore)
		assert.Equal(t, timeout, took)
		config.OnStoreFailure = cache.FailOpen
		c := open[int](t, config)
		took, err = get(c, "k")
		assert.NoError(t, err)
		assert.Equal(t, 2*timeout, took, "before the lock, and with it")
		_, err = get(c, "k")
		assert.NoError(t, err)
		took, err = get(c, "k")
		assert.NoError(t, err)
		assert.Zero(t, took, "left alone after three timeouts")
	})
}

func TestSilentLocksCostTheirTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 100 * time.Millisecond
		node := coretest.Piped(t, 1)
		locks, err := core.New(core.Config{Clients: node.Clients(), NodeTimeout: timeout, Logger: quiet})
		require.NoError(t, err)
		defer func() { require.NoError(t, locks.Close()) }()
		require.NoError(t, node.Node(0).Freeze())
		for _, f := range []cache.Failure{cache.FailOpen, cache.FailClosed} {
			c := open[int](t, cache.Config{Fresh: time.Hour, OnLockFailure: f, Locks: locks})
			begun := time.Now()
			_, err := c.Get(t.Context(), "k", value(1))
			assert.LessOrEqual(t, time.Since(begun), timeout)
			if f == cache.FailOpen {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, core.ErrNoQuorum)
			}
		}
		require.NoError(t, node.Node(0).Thaw())
	})
}
