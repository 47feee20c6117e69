package cache_test

import (
	"context"
	"fmt"
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

// together runs n lookups of one key whose fetch takes a while.
func together(t *testing.T, c *cache.Cache[string], key string, n int) (fetches int, errs []error, took time.Duration) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		count atomic.Int32
		gate  = make(chan struct{})
	)
	begun := time.Now()
	for range n {
		wg.Go(func() {
			_, err := c.Get(t.Context(), key, func(context.Context) (string, error) {
				count.Add(1)
				<-gate
				return "v", nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	go func() { // the fetch ends when everybody had the time to come
		for c.Stats().InFlight > 0 && time.Since(begun) < 100*time.Millisecond {
			<-time.After(time.Millisecond)
		}
		close(gate)
	}()
	wg.Wait()
	return int(count.Load()), errs, time.Since(begun)
}

func TestLockServiceDown(t *testing.T) {
	for _, freeze := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen %v", freeze), func(t *testing.T) {
			nodes, store := coretest.Redis(t, 3), coretest.Redis(t, 1)
			config := func(f cache.Failure) cache.Config {
				return cache.Config{
					Fresh: time.Minute, OnLockFailure: f, Locks: manager(t, nodes.Clients()),
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
			fetches, errs, took := together(t, open1, "k", 50)
			assert.Empty(t, errs)
			assert.Equal(t, 1, fetches, "the local collapse is still in force")
			assert.Less(t, took, patience)
			assert.NotZero(t, open1.Stats().Unguarded, "nothing is stored without the lock")
			_, ok := open1.Peek(t.Context(), "k")
			assert.False(t, ok)

			fetches, errs, took = together(t, closed, "k", 50)
			assert.Zero(t, fetches)
			assert.Less(t, took, patience)
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
			_, err := open1.Get(t.Context(), "stored before", value("v"))
			require.NoError(t, err)
			if freeze {
				require.NoError(t, store.Node(0).Freeze())
			} else {
				require.NoError(t, store.Node(0).Kill())
			}
			fetches, errs, took := together(t, open1, "k", 50)
			assert.Empty(t, errs)
			assert.Equal(t, 1, fetches)
			assert.Less(t, took, patience)
			require.Eventually(t, func() bool { return !open1.Stats().Coherent }, patience, time.Millisecond)
			_, err = open1.Get(t.Context(), "stored before", unexpected[string](t))
			assert.NoError(t, err, "memory stands in for the store")
			assert.ErrorIs(t, open1.Invalidate(t.Context(), "stored before"), cache.ErrStore)
			_, ok := open1.Peek(t.Context(), "stored before")
			assert.False(t, ok, "the purge holds here all the same")

			fetches, errs, took = together(t, closed, "k", 50)
			assert.Zero(t, fetches)
			assert.Less(t, took, patience)
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
	nodes := coretest.Redis(t, 1)
	caches := fleet[int](t, nodes, 2, cache.Config{Fresh: time.Minute})
	a, b := caches[0], caches[1]
	for _, c := range caches {
		v, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		_, ok := c.Hit("k")
		require.True(t, ok)
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
		"empty":     func() error { return client.Set(t.Context(), entry, "", time.Minute).Err() },
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
	assert.GreaterOrEqual(t, c.Stats().Corrupt, uint64(3))
}

func TestLostLeaseStoresNothing(t *testing.T) {
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
