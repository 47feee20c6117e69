package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// got is the outcome of an Acquire that waits on a goroutine of its own.
type got struct {
	lock *Lock
	err  error
}

// await queues behind the callers that wait already and returns once it does.
func await(t testing.TB, ctx context.Context, m *Manager, key string, opts ...Option) <-chan got {
	t.Helper()
	before := m.Stats().Waiting
	result := make(chan got, 1)
	go func() {
		l, err := m.Acquire(ctx, key, opts...)
		result <- got{l, err}
	}()
	awaitWaiting(t, m, before+1)
	return result
}

// The lock goes from caller to caller, first in first out, each with a token, a
// context and a loss of its own, without a command in between.
func TestHandOver(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	seen := &events{}
	m := managerOn(t, nodes.URLs(), withTTL(time.Minute), func(c *Config) { c.Observer = seen })
	l := hold(t, m, "k")
	var line []<-chan got
	for range 5 {
		line = append(line, await(t, t.Context(), m, "k", WithWait(time.Minute)))
	}
	for i, next := range line {
		token, until := l.FencingToken(), l.Until()
		require.NoError(t, l.Release(t.Context()))
		require.ErrorIs(t, l.Context().Err(), context.Canceled)
		require.NotErrorIs(t, context.Cause(l.Context()), ErrLost)
		require.False(t, l.Until().After(time.Now()), "the turn is over, the lease is not")
		require.ErrorIs(t, l.Renew(t.Context(), time.Hour), ErrNotOwner, "somebody else's turn")
		g := <-next
		require.NoError(t, g.err, "turn %d", i)
		require.Greater(t, g.lock.FencingToken(), token)
		require.NoError(t, g.lock.Context().Err())
		require.False(t, g.lock.Until().Before(until))
		held, ok := FromContext(g.lock.Context())
		require.True(t, ok)
		require.Same(t, g.lock, held)
		l = g.lock
	}
	require.NoError(t, l.Release(t.Context()))
	requireGone(t, nodes.All()...)
	require.Equal(t, int(m.Stats().HandedOver), seen.count(EventHandedOver))
	require.Equal(t, uint64(6), m.Stats().Acquired)
}

// The turns end, so that other processes get theirs.
func TestHandOverIsBounded(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	// Nobody polls: on a slow machine that could take the lock from whom it was left to.
	patient := func(c *Config) { c.TTL, c.RetryDelay = time.Minute, time.Minute }
	m, other := managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient)
	l := hold(t, m, "k")
	var line []<-chan got
	for range 3 * turns {
		line = append(line, await(t, t.Context(), m, "k", WithWait(time.Minute)))
	}
	theirs := make(chan got, 1)
	go func() {
		l, err := other.Acquire(t.Context(), "k", WithWait(time.Minute))
		theirs <- got{l, err}
	}()
	awaitRegistered(t, m, "k", 1, nodes.All()...)
	require.NoError(t, l.Release(t.Context()))
	for i, next := range line {
		select {
		case g := <-next:
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
		case g := <-theirs:
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
			require.LessOrEqual(t, i, 2*turns, "other processes were starved")
			theirs = nil
			g = <-next
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
		}
	}
	require.Nil(t, theirs, "the other process had no turn")
}

// A lease that is lost in one turn is lost for that turn's holder, and the next
// in line competes anew.
func TestLossOfOneTurn(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Minute))
	first := hold(t, m, "k")
	second := await(t, t.Context(), m, "k", WithWait(time.Minute))
	third := await(t, t.Context(), m, "k", WithWait(time.Minute))
	require.NoError(t, first.Release(t.Context()))
	g := <-second
	require.NoError(t, g.err)
	for _, n := range nodes.All() {
		require.NoError(t, n.Client().Del(t.Context(), m.namesOf("k").lock).Err())
	}
	require.ErrorIs(t, g.lock.Renew(t.Context(), time.Minute), ErrExpired)
	require.ErrorIs(t, context.Cause(g.lock.Context()), ErrLost)
	require.NotErrorIs(t, context.Cause(first.Context()), ErrLost)
	last := <-third
	require.NoError(t, last.err)
	require.NoError(t, last.lock.Context().Err())
	require.Greater(t, last.lock.FencingToken(), g.lock.FencingToken())
	require.ErrorIs(t, g.lock.Release(t.Context()), ErrExpired)
	require.NoError(t, last.lock.Context().Err(), "touched by the release of a lost turn")
	require.NoError(t, last.lock.Release(t.Context()))
}

// Callers give up at any place in the queue; the others keep theirs.
func TestCancellationAnywhereInTheQueue(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs(), withTTL(time.Minute)), managerOn(t, nodes.URLs(), withTTL(time.Minute))
	for _, holder := range []*Manager{m, other} { // the first in line queues here, or stands in Redis
		for gone := range 4 {
			key := fmt.Sprint("k", gone, holder == m)
			l := hold(t, holder, key)
			var (
				line []<-chan got
				stop []context.CancelFunc
			)
			for i := range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stop = append(stop, cancel)
				if holder == other && i == 0 {
					result := make(chan got, 1)
					go func() {
						l, err := m.Acquire(ctx, key, WithWait(time.Minute))
						result <- got{l, err}
					}()
					awaitRegistered(t, m, key, 1, nodes.All()...)
					line = append(line, result)
					continue
				}
				line = append(line, await(t, ctx, m, key, WithWait(time.Minute)))
			}
			stop[gone]()
			g := <-line[gone]
			require.ErrorIs(t, g.err, context.Canceled)
			require.NoError(t, l.Release(t.Context()))
			for i, next := range line {
				if i == gone {
					continue
				}
				g := <-next
				require.NoError(t, g.err, "%d, after %d had gone", i, gone)
				require.NoError(t, g.lock.Release(t.Context()))
			}
		}
	}
	require.Zero(t, m.Stats().Waiting)
	requireGone(t, nodes.All()...)
}

// Cancellation races with the hand-over: a lock given to somebody who has left
// goes on to the next.
func TestCancellationRacesWithHandOver(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	for range 100 {
		l := hold(t, m, "k")
		ctx, cancel := context.WithCancel(t.Context())
		leaving := await(t, ctx, m, "k", WithWait(time.Minute))
		staying := await(t, t.Context(), m, "k", WithWait(time.Minute))
		go cancel()
		require.NoError(t, l.Release(t.Context()))
		if g := <-leaving; g.err == nil {
			require.NoError(t, g.lock.Release(t.Context()))
		}
		g := <-staying
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
	}
	requireGone(t, nodes.All()...)
}

// An hour between polls: only the release can have woken the waiter.
func TestReleaseWakesOtherProcesses(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3} {
		nodes := coretest.Redis(t, count)
		patient := func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour }
		holder := managerOn(t, nodes.URLs(), patient)
		waiters := []*Manager{managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient)}
		l := hold(t, holder, "k")
		results := make(chan got, len(waiters))
		for i, m := range waiters {
			go func() {
				l, err := m.Acquire(t.Context(), "k")
				results <- got{l, err}
			}()
			awaitRegistered(t, holder, "k", i+1, nodes.All()...)
		}
		require.NoError(t, l.Release(t.Context()))
		last := l.FencingToken()
		for range waiters {
			select {
			case g := <-results:
				require.NoError(t, g.err)
				require.Greater(t, g.lock.FencingToken(), last)
				last = g.lock.FencingToken()
				require.NoError(t, g.lock.Release(t.Context()))
			case <-time.After(patience):
				t.Fatal("a wake-up was lost")
			}
		}
	}
}

// The release that wakes a process has reached the home node of the key and not yet
// the others, which refuse. Home has granted, so it has no place in the queue any
// more, and nobody wakes it a second time.
func TestWokenBeforeTheReleaseIsEverywhere(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	patient := func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour }
	holder, waiter := managerOn(t, proxyURLs(proxies), patient), managerOn(t, nodes.URLs(), patient)
	l := hold(t, holder, "k")
	requireHolders(t, l, nodes.All()...)
	waiting := acquireSoon(t, waiter, "k")
	awaitRegistered(t, waiter, "k", 1, nodes.All()...)
	home := waiter.home(waiter.namesOf("k"), time.Now()).index
	var asked []func() bool
	for i, p := range proxies {
		if i != home {
			p.Hold()
			before := waiter.Stats().Nodes[i].Commands
			asked = append(asked, func() bool { return waiter.Stats().Nodes[i].Commands > before })
		}
	}
	released := make(chan error, 1)
	go func() { released <- l.Release(t.Context()) }()
	require.Eventually(t, func() bool { return asked[0]() && asked[1]() }, patience, time.Millisecond)
	for _, p := range proxies {
		require.NoError(t, p.Resume())
	}
	require.NoError(t, <-released)
	select {
	case g := <-waiting:
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
	case <-time.After(patience):
		t.Fatal("waits for a lock that nobody holds")
	}
}

// A process that was woken and does not want the lock any more wakes the next.
func TestWakeUpIsPassedOn(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	patient := func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour }
	holder, leaver, stayer := managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient)
	for i := range 30 {
		key := fmt.Sprint("k", i)
		l := hold(t, holder, key)
		ctx, cancel := context.WithCancel(t.Context())
		left, stayed := make(chan got, 1), make(chan got, 1)
		go func() { l, err := leaver.Acquire(ctx, key); left <- got{l, err} }()
		awaitRegistered(t, holder, key, 1, nodes.All()...)
		go func() { l, err := stayer.Acquire(t.Context(), key); stayed <- got{l, err} }()
		awaitRegistered(t, holder, key, 2, nodes.All()...)
		var wait sync.WaitGroup
		wait.Go(cancel)
		wait.Go(func() { assert.NoError(t, l.Release(t.Context())) })
		wait.Wait()
		if g := <-left; g.err == nil {
			require.NoError(t, g.lock.Release(t.Context()))
		}
		select {
		case g := <-stayed:
			require.NoError(t, g.err)
			require.NoError(t, g.lock.Release(t.Context()))
		case <-time.After(patience):
			t.Fatal("a wake-up went to somebody who had left, and to nobody else")
		}
	}
}

// Nobody says that a lease has run out: its remaining TTL in the refusal does.
func TestExpiryEndsTheWait(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), func(c *Config) { c.RetryDelay, c.Wait = time.Hour, time.Hour })
	for _, n := range nodes.All() {
		require.NoError(t, n.Client().Set(t.Context(), m.namesOf("k").lock, "foreign", 500*time.Millisecond).Err())
	}
	select {
	case g := <-acquireSoon(t, m, "k"):
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
	case <-time.After(patience):
		t.Fatal("waits for a lock that nobody holds")
	}
}

func acquireSoon(t testing.TB, m *Manager, key string, opts ...Option) <-chan got {
	result := make(chan got, 1)
	go func() {
		l, err := m.Acquire(t.Context(), key, opts...)
		result <- got{l, err}
	}()
	return result
}

// The holder's release cannot reach the node where waiters queue. A majority is
// free, so whoever polls must find it.
func TestReleaseThatMissesTheQueue(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	proxies := coretest.ProxiesTo(t, nodes.URLs())
	holder, waiter := managerOn(t, proxyURLs(proxies), withTTL(time.Hour)), managerOn(t, nodes.URLs(), withTTL(time.Hour))
	for i := range 6 { // keys with different homes
		key := fmt.Sprint("k", i)
		l := hold(t, holder, key)
		requireHolders(t, l, nodes.All()...)
		waiting := make(chan got, 1)
		go func() {
			l, err := waiter.Acquire(t.Context(), key, WithWait(patience))
			waiting <- got{l, err}
		}()
		awaitRegistered(t, waiter, key, 1, nodes.All()...)
		home := waiter.home(waiter.namesOf(key), time.Now()).index
		require.NoError(t, proxies[home].Refuse())
		proxies[home].Reset()
		require.NoError(t, l.Release(t.Context()))
		g := <-waiting
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
		require.NoError(t, proxies[home].Accept())
		requireVoting(t, holder, 3)
	}
	requireGone(t, nodes.All()...)
}

// Whoever may publish can say anything to a process that waits. It neither falls
// over it nor touches a key that is not its own.
func TestForeignWakeUpsAreIgnored(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	holder, waiter := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs())
	l := hold(t, holder, "k")
	waiting := make(chan got, 1)
	go func() {
		l, err := waiter.Acquire(t.Context(), "k", WithWait(patience))
		waiting <- got{l, err}
	}()
	awaitRegistered(t, waiter, "k", 1, nodes.All()...)
	client := nodes.Node(0).Client()
	require.NoError(t, client.Set(t.Context(), "balance", "-17", 0).Err()) // "-" is how a wake-up is passed on
	for _, said := range []string{"", "x", "balance", "dlm:1:", "dlm:1:{", "dlm:1:{}:", "dlm:1:node", "dlm:1:{0}:f", waiter.namesOf("k").queue} {
		require.EqualValues(t, 1, client.Publish(t.Context(), waiter.channelBase+waiter.id, said).Val())
	}
	require.NoError(t, l.Release(t.Context()))
	g := <-waiting
	require.NoError(t, g.err)
	require.NoError(t, g.lock.Release(t.Context()))
	require.Equal(t, "-17", client.Get(t.Context(), "balance").Val())
}

// Contenders in several processes and within them never overlap, and the tokens
// tell their order.
func TestContendersNeverOverlap(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	var (
		mu     sync.Mutex
		inside int
		last   uint64
		runs   int
		wait   sync.WaitGroup
	)
	critical := func(ctx context.Context) error {
		l, _ := FromContext(ctx)
		mu.Lock()
		inside++
		overlap, order := inside != 1, l.FencingToken() > last
		last = l.FencingToken()
		runs++
		mu.Unlock()
		mu.Lock()
		inside--
		mu.Unlock()
		if overlap || !order {
			return errors.New("two at once, or out of order")
		}
		return nil
	}
	for range 4 {
		m := managerOn(t, nodes.URLs(), withTTL(time.Minute))
		for range 4 {
			wait.Go(func() {
				for range 5 {
					assert.NoError(t, m.Do(t.Context(), "hot", critical, WithWait(time.Minute)))
				}
			})
		}
	}
	wait.Wait()
	require.Equal(t, 4*4*5, runs)
}

// The lease stays in the process for maxTenure, and goes to none but those it suits.
func TestHandOverOnlyWhereTheLeaseSuits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		held   time.Duration
		opts   []Option
		handed bool
	}{
		"soon":            {maxTenure, nil, true},
		"too late":        {maxTenure + 1, nil, false},
		"enough left":     {0, []Option{WithTTL(80 * time.Minute)}, true},
		"too little left": {0, []Option{WithTTL(81 * time.Minute)}, false},
		"another note":    {0, []Option{WithMetadata("another")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
				l := hold(t, m, "k", WithTTL(time.Hour+2*driftOf(time.Hour, defaultDrift)))
				next := make(chan got, 1)
				go func() {
					l, err := m.Acquire(t.Context(), "k", c.opts...)
					next <- got{l, err}
				}()
				synctest.Wait()
				time.Sleep(c.held)
				require.NoError(t, l.Release(t.Context()))
				g := <-next
				require.NoError(t, g.err)
				require.Equal(t, c.handed, g.lock.Owner() == l.Owner())
				require.Greater(t, g.lock.FencingToken(), l.FencingToken())
				require.Equal(t, g.lock.lease.metadata == "another", name == "another note")
				require.NoError(t, g.lock.Release(t.Context()))
			})
		})
	}
}

// A lease that is lost while it is handed over is lost to its next holder.
func TestLeaseLostBetweenTwoTurns(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, _ *coretest.EmbeddedNodes, m *Manager) {
		l := hold(t, m, "k")
		l.lease.lose()
		next := m.newLock(&waiter{ctx: t.Context(), set: m.defaults}, l.lease, l.gate, l.token+1, time.Now())
		require.ErrorIs(t, context.Cause(next.Context()), ErrLost)
		require.ErrorIs(t, next.Release(t.Context()), ErrExpired)
		require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	})
}

// The wake-up comes to a process whose last waiter has just left.
func TestWakeUpForNobodyIsPassedOn(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	patient := func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour }
	leaver, stayer := managerOn(t, nodes.URLs(), patient), managerOn(t, nodes.URLs(), patient)
	take(t, leaver, "k", nodes.Node(0))
	stays := acquireSoon(t, stayer, "k")
	awaitRegistered(t, leaver, "k", 1, nodes.All()...)
	g := &gate{key: "k", names: leaver.namesOf("k")}
	require.True(t, leaver.listen(t.Context(), g, time.Now().Add(patience)))
	require.NoError(t, nodes.Node(0).Client().Del(t.Context(), g.names.lock).Err())
	g.wake.raise()
	leaver.mu.Lock()
	leaver.mute(g)
	leaver.mu.Unlock()
	select {
	case s := <-stays:
		require.NoError(t, s.err)
		require.NoError(t, s.lock.Release(t.Context()))
	case <-time.After(patience):
		t.Fatal("the wake-up ended with who had left")
	}
}

// What is published while a subscription is lost reaches nobody, so whoever waits
// looks when it is back.
func TestWakeUpDuringALostSubscription(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs(), func(c *Config) { c.RetryDelay, c.TTL, c.Wait = time.Hour, time.Hour, time.Hour })
	server, names := nodes.Node(0).Client(), m.namesOf("k")
	take(t, m, "k", nodes.Node(0))
	waits := acquireSoon(t, m, "k")
	awaitRegistered(t, m, "k", 1, nodes.All()...)
	require.NoError(t, server.Del(t.Context(), names.lock, names.queue).Err())
	require.NoError(t, server.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err())
	select {
	case w := <-waits:
		require.NoError(t, w.err)
		require.NoError(t, w.lock.Release(t.Context()))
	case <-time.After(patience):
		t.Fatal("nobody looks after the lost wake-up")
	}
}
