package core

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// take puts somebody else's value where the lock of key would be.
func take(t testing.TB, m *Manager, key string, nodes ...*coretest.Node) {
	t.Helper()
	for _, n := range nodes {
		require.NoError(t, n.Client().Set(t.Context(), m.namesOf(key).lock, "foreign", 0).Err())
	}
}

func TestGrantNeedsMajority(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2, 3, 4, 5} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, count)
			m := managerOn(t, nodes.URLs())
			for mask := range uint(1) << count {
				testMask(t, m, nodes, mask)
			}
		})
	}
}

// testMask takes a lock of which the nodes in mask are somebody else's.
func testMask(t *testing.T, m *Manager, nodes *coretest.Nodes, mask uint) {
	key := fmt.Sprintf("mask-%b", mask)
	var taken, free []*coretest.Node
	for i, n := range nodes.All() {
		if mask>>i&1 == 1 {
			taken = append(taken, n)
		} else {
			free = append(free, n)
		}
	}
	take(t, m, key, taken...)
	l, err := m.TryAcquire(t.Context(), key)
	if len(free) >= nodes.Len()/2+1 {
		require.NoError(t, err, "%d of %d free", len(free), nodes.Len())
		require.NoError(t, l.Release(t.Context()))
	} else {
		require.ErrorIs(t, err, ErrNotAcquired, "%d of %d taken", bits.OnesCount(mask), nodes.Len())
		require.NotErrorIs(t, err, ErrNoQuorum)
		var detail *LockError
		require.ErrorAs(t, err, &detail)
		require.Equal(t, LockError{"acquire", key, detail.Err}, *detail)
	}
	lock := m.namesOf(key).lock
	for _, n := range free {
		require.Eventually(t, func() bool { return n.Client().Exists(t.Context(), lock).Val() == 0 },
			patience, time.Millisecond, "our own value stays behind")
	}
	for _, n := range taken {
		require.Equal(t, "foreign", n.Client().Get(t.Context(), lock).Val())
	}
}

func TestGrantLaterThanItsLeaseIsNone(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	proxy := coretest.ProxyTo(t, nodes.Node(0).URL())
	m := managerOn(t, []string{proxy.URL()}, withTTL(500*time.Millisecond))
	proxy.Delay(300*time.Millisecond, 300*time.Millisecond)
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	require.NotErrorIs(t, err, ErrNotAcquired)
	require.ErrorContains(t, err, "a longer TTL helps")
	requireGone(t, nodes.All()...)
}

func TestAnswersOfMajorityDecide(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	slow := coretest.ProxyTo(t, nodes.Node(2).URL())
	m := managerOn(t, []string{nodes.Node(0).URL(), nodes.Node(1).URL(), slow.URL()})
	slow.Delay(0, unhurried/2)
	quickly(t, "a slow minority", func() {
		l := hold(t, m, "k")
		require.NoError(t, l.Renew(t.Context(), time.Minute))
		require.NoError(t, l.Extend(t.Context(), time.Minute))
		require.NoError(t, l.Release(t.Context()))
	})
	take(t, m, "taken", nodes.All()[:2]...)
	quickly(t, "a slow minority, refused", func() {
		_, err := m.TryAcquire(t.Context(), "taken")
		require.ErrorIs(t, err, ErrNotAcquired)
	})
}

// One node free, one taken, one down: both are true, and both are said.
func TestErrorTellsContentionFromOutage(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 5)
	m := managerOn(t, nodes.URLs())
	all := nodes.All()
	require.NoError(t, all[4].Kill())
	refused := func(key string, taken int) error {
		t.Helper()
		take(t, m, key, all[:taken]...)
		_, err := m.TryAcquire(t.Context(), key)
		require.Error(t, err)
		return err
	}
	err := refused("contended", 3)
	require.ErrorIs(t, err, ErrNotAcquired)

	err = refused("both", 2)
	require.ErrorIs(t, err, ErrNotAcquired)
	require.ErrorIs(t, err, ErrNoQuorum)
	requireNodeErrors(t, err, all[4])

	require.NoError(t, all[3].Kill())
	require.NoError(t, all[2].Kill())
	err = refused("down", 0)
	require.NotErrorIs(t, err, ErrNotAcquired)
	require.ErrorIs(t, err, ErrNoQuorum)
	requireNodeErrors(t, err, all[2:]...)
}

// requireNodeErrors wants a cause for exactly those nodes.
func requireNodeErrors(t testing.TB, err error, nodes ...*coretest.Node) {
	t.Helper()
	var q *QuorumError
	require.ErrorAs(t, err, &q)
	var want, got []string
	for _, n := range nodes {
		want = append(want, n.Addr())
	}
	for _, n := range q.Nodes {
		got = append(got, n.Node)
		require.Error(t, n.Err)
	}
	require.Equal(t, want, got, "%v", err)
}

func TestCancelledBeforehandSendsNothing(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs())
	require.NoError(t, nodes.Node(0).ResetCommandCalls())
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	for _, acquire := range []func(context.Context, string, ...Option) (*Lock, error){m.Acquire, m.TryAcquire} {
		_, err := acquire(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, reason)
	}
	_, err := m.Inspect(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
	calls, err := nodes.Node(0).CommandCalls()
	require.NoError(t, err)
	require.Zero(t, calls["evalsha"]+calls["eval"])
}

// The context of the caller ends while the nodes have, or will have, executed
// the command: the key goes from every one of them.
func TestCancelledInFlightLeavesNothing(t *testing.T) {
	t.Parallel()
	faults := map[string]func(*coretest.Proxy){
		"request on its way": func(p *coretest.Proxy) { p.Hold() },
		"reply on its way":   func(p *coretest.Proxy) { p.Delay(0, time.Second) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3)
			proxies := coretest.ProxiesTo(t, nodes.URLs())
			m := managerOn(t, proxyURLs(proxies), withTTL(time.Minute))
			for _, p := range proxies[1:] {
				fault(p)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			quickly(t, "the end of the context", func() {
				_, err := m.Acquire(ctx, "k")
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
			for _, p := range proxies {
				require.NoError(t, p.Resume())
			}
			requireGone(t, nodes.All()...)
			require.NoError(t, hold(t, m, "k").Release(t.Context()))
		})
	}
}

func proxyURLs(proxies []*coretest.Proxy) (urls []string) {
	for _, p := range proxies {
		urls = append(urls, p.URL())
	}
	return urls
}

// Whoever waits is told at the end of the wait, not when the nodes' time is over. To
// the nanosecond in TestEveryCallIsPunctualInEveryOutage; here a machine under load
// may be late, though not every time.
func TestDeadlineHoldsInOutage(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	held := hold(t, managerOn(t, nodes.URLs()), "contended", WithTTL(time.Hour))
	there := slices.IndexFunc(nodes.All(), func(n *coretest.Node) bool { return slices.Contains(held.Info().Nodes, n.Addr()) })
	require.GreaterOrEqual(t, there, 0, "%v", held.Info())
	for tries := 1; ; tries++ {
		late := lateInOutage(t, nodes, there)
		if len(late) == 0 {
			return
		}
		require.Less(t, tries, 6, "late, and not for the first time: %v", late)
	}
}

// lateInOutage names the calls that do not return at their deadline while no node
// answers but one.
func lateInOutage(t *testing.T, nodes *coretest.Nodes, there int) (late []string) {
	m := managerOn(t, nodes.URLs())
	for i, n := range nodes.All() {
		if i != there {
			require.NoError(t, n.Freeze())
			defer func() { require.NoError(t, n.Thaw()) }()
		}
	}
	const wait = time.Second // in which the node that is there does answer
	calls := map[string]func() error{
		"wait": func() error {
			_, err := m.Acquire(t.Context(), "wait", WithWait(wait))
			return err
		},
		"context": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := m.Acquire(ctx, "context", WithWait(time.Minute))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			return err
		},
		"context of one round": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := m.TryAcquire(ctx, "once")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			return err
		},
		"do": func() error {
			return m.Do(t.Context(), "do", func(context.Context) error { return errors.New("ran") }, WithWait(wait))
		},
		"contended": func() error { // refused by the node that answers, so contention as well
			_, err := m.Acquire(t.Context(), "contended", WithWait(wait))
			return err
		},
	}
	var (
		callers sync.WaitGroup
		mu      sync.Mutex // guards late
	)
	watch := standBy(t)
	for name, call := range calls {
		callers.Go(func() {
			began := monotonic()
			err := call()
			if !watch.punctual(began + wait) {
				mu.Lock()
				defer mu.Unlock()
				late = append(late, name)
			}
			assert.ErrorIs(t, err, ErrNoQuorum, name)
			assert.Equal(t, name == "contended", errors.Is(err, ErrNotAcquired), name)
			var q *QuorumError
			if assert.ErrorAs(t, err, &q, name) && name != "contended" {
				assert.Len(t, q.Nodes, 2, name)
			}
		})
	}
	callers.Wait()
	return late
}

// A caller that queues behind another of its process hears of the outage too.
func TestDeadlineHoldsBehindOthersInOutage(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	for _, n := range nodes.All() {
		require.NoError(t, n.Freeze())
		defer n.Thaw() //nolint:errcheck // or Close waits for it
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			began := time.Now()
			_, err := m.Acquire(t.Context(), "k", WithWait(300*time.Millisecond))
			assert.Less(t, time.Since(began), tooLate)
			assert.ErrorIs(t, err, ErrNoQuorum)
			assert.NotErrorIs(t, err, ErrNotAcquired)
		})
	}
	wait.Wait()
}

// No fault, no connection yet, everybody at once.
func TestManyCallersOnColdConnections(t *testing.T) {
	t.Parallel()
	const callers = 132
	nodes := coretest.Redis(t, 3)
	// What New's own patience for nodes spares its callers is taken away.
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	for _, p := range proxies {
		p.Delay(time.Second/4, time.Second/4)
	}
	m := managerOn(t, proxyURLs(proxies), func(c *Config) { c.Wait = time.Minute })
	require.Zero(t, voters(m), "the connections are not cold")
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			l, err := m.Acquire(t.Context(), fmt.Sprint("k", i))
			if assert.NoError(t, err) {
				assert.NoError(t, l.Release(t.Context()))
			}
		})
	}
	wait.Wait()
	for _, p := range proxies {
		require.LessOrEqual(t, p.Accepted(), 4, "connections for %d callers", callers)
	}
}
