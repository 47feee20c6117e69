package core

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// stockClients are go-redis clients with every default: no deadline of a context
// reaches their sockets, and they retry what fails.
func stockClients(t testing.TB, nodes *coretest.Nodes) func(*Config) {
	return func(c *Config) {
		for _, n := range nodes.All() {
			client := redis.NewClient(&redis.Options{Addr: n.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			c.Clients = append(c.Clients, client)
		}
	}
}

// A frozen node costs nobody more than NodeTimeout, at first, and nothing later;
// what it was sent before it froze leaves no key when it wakes. NodeTimeout is long
// enough for nodes that are well on a machine that stands still.
func TestFrozenMinority(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"URLs", "stock clients"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			urls, clients := nodes.URLs(), func(*Config) {}
			if kind != "URLs" {
				urls, clients = nil, stockClients(t, nodes)
			}
			m := managerOn(t, urls, clients, withNodeTimeout(3*frozen), withTTL(time.Hour))
			before := hold(t, m, "before")
			requireHolders(t, before, nodes.All()...)
			require.NoError(t, nodes.Node(1).Freeze())
			for i := range 20 {
				quickly(t, "acquire, extend and release", func() {
					l := hold(t, m, fmt.Sprint("k", i))
					require.NoError(t, l.Extend(t.Context(), time.Minute))
					require.NoError(t, l.Renew(t.Context(), time.Hour))
					require.NoError(t, l.Release(t.Context()))
				})
			}
			quickly(t, "release", func() { require.NoError(t, before.Release(t.Context())) })
			require.NoError(t, nodes.Node(1).Thaw())
			requireGone(t, nodes.All()...)
			requireVoting(t, m, 3)
		})
	}
}

// Once a node is known to be silent it is not waited for, neither by whoever is
// alone nor by whoever needs its answer to be refused.
func TestSilentNodeIsLeftAlone(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withNodeTimeout(frozen))
	require.NoError(t, nodes.Node(0).Freeze())
	require.Eventually(t, func() bool {
		l, err := m.TryAcquire(t.Context(), "notice")
		if err == nil {
			err = l.Release(t.Context())
		}
		require.NoError(t, err)
		return voters(m) == 2
	}, patience, 10*time.Millisecond)
	take(t, m, "split", nodes.Node(1))
	const rounds = 20
	began := time.Now()
	for range rounds { // one free, one taken, one silent: every answer is needed
		_, err := m.TryAcquire(t.Context(), "split")
		require.ErrorIs(t, err, ErrNotAcquired)
		require.ErrorIs(t, err, ErrNoQuorum)
	}
	require.Less(t, time.Since(began), rounds*frozen/2)
	require.NoError(t, nodes.Node(0).Thaw())
	requireVoting(t, m, 3)
	requireGone(t, nodes.Node(0), nodes.Node(2))
}

// Not in parallel with others, whose goroutines would count.
func TestFrozenNodeCostsNoGoroutines(t *testing.T) {
	for _, kind := range []string{"URLs", "stock clients"} {
		t.Run(kind, func(t *testing.T) {
			nodes := coretest.Redis(t, 5)
			urls, clients := nodes.URLs(), func(*Config) {}
			if kind != "URLs" {
				urls, clients = nil, stockClients(t, nodes)
			}
			m := managerOn(t, urls, clients, withNodeTimeout(frozen), withTTL(time.Hour))
			load := func(rounds int) (most int) {
				var (
					wait sync.WaitGroup
					mu   sync.Mutex
				)
				for c := range 64 {
					wait.Go(func() {
						for i := range rounds {
							l, err := m.TryAcquire(t.Context(), fmt.Sprint("k", c, "-", i))
							if assert.NoError(t, err) {
								assert.NoError(t, l.Release(t.Context()))
							}
							mu.Lock()
							most = max(most, runtime.NumGoroutine())
							mu.Unlock()
						}
					})
				}
				wait.Wait()
				return most
			}
			healthy := load(5)
			require.NoError(t, nodes.Node(2).Freeze())
			most := load(20)
			require.LessOrEqual(t, most, healthy+32, "goroutines while frozen, against %d before", healthy)
			sockets, err := nodes.Node(0).Connections()
			require.NoError(t, err)
			require.Less(t, sockets, int64(16))
			require.NoError(t, nodes.Node(2).Thaw())
			requireGone(t, nodes.All()...)
		})
	}
}

func TestDeadMinority(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	l := hold(t, m, "held")
	requireHolders(t, l, nodes.All()...)
	for _, n := range nodes.All()[:2] {
		require.NoError(t, n.Kill())
	}
	for i := range 20 {
		quickly(t, "with dead nodes", func() {
			l := hold(t, m, fmt.Sprint("k", i))
			require.NoError(t, l.Extend(t.Context(), time.Minute))
			require.NoError(t, l.Release(t.Context()))
		})
	}
	require.NoError(t, l.Renew(t.Context(), time.Hour))
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()[2:]...)
}

// A node that is down when the Manager is made is used when it comes.
func TestNodeDownAtConstruction(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	require.NoError(t, nodes.Node(0).Kill())
	m := managerOn(t, nodes.URLs(), withTTL(3*time.Second))
	requireVoting(t, m, 2)
	l := hold(t, m, "k", WithAutoRenew(), WithMaxHold(time.Hour))
	require.NoError(t, nodes.Node(0).Restart())
	requireHolders(t, l, nodes.All()...)
	require.NoError(t, l.Release(t.Context()))

	none := coretest.Redis(t, 3)
	for _, n := range none.All() {
		require.NoError(t, n.Kill())
	}
	m = managerOn(t, none.URLs())
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	requireNodeErrors(t, err, none.All()...)
	require.ErrorContains(t, err, "connection refused")
	for _, n := range none.All() {
		require.NoError(t, n.Restart())
	}
	l, err = m.Acquire(t.Context(), "k", WithWait(patience))
	require.NoError(t, err)
	require.NoError(t, l.Release(t.Context()))
}

// Networks that stall, lose state, reset or refuse, on a minority of the nodes.
func TestFaultyNetwork(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*coretest.Proxy){
		"stalls":     func(p *coretest.Proxy) { p.Hold() },
		"half open":  func(p *coretest.Proxy) { p.HalfOpen() },
		"resets":     func(p *coretest.Proxy) { p.Reset() },
		"refuses":    func(p *coretest.Proxy) { _ = p.Refuse(); p.Reset() },
		"cuts":       func(p *coretest.Proxy) { p.CutRepliesAfter(100) },
		"cuts short": func(p *coretest.Proxy) { p.CutRequestsAfter(1000) },
		"loses all":  func(p *coretest.Proxy) { p.DropReplies() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			proxy := coretest.ProxyTo(t, nodes.Node(1).URL())
			m := managerOn(t, []string{nodes.Node(0).URL(), proxy.URL(), nodes.Node(2).URL()},
				withNodeTimeout(frozen), withTTL(time.Hour))
			held := hold(t, m, "held")
			requireHolders(t, held, nodes.All()...)
			fault(proxy)
			for i := range 10 {
				quickly(t, "acquire, renew and release", func() {
					l := hold(t, m, fmt.Sprint("k", i))
					require.NoError(t, l.Renew(t.Context(), time.Hour))
					require.NoError(t, l.Release(t.Context()))
				})
			}
			quickly(t, "release", func() { require.NoError(t, held.Release(t.Context())) })
			require.NoError(t, proxy.Resume())
			requireGone(t, nodes.All()...)
			requireVoting(t, m, 3)
			// New locks reach it again.
			l := hold(t, m, "after")
			requireHolders(t, l, nodes.All()...)
		})
	}
}
