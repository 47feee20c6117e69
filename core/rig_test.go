package core

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

const (
	// unhurried is a NodeTimeout for tests that are not about time: a machine
	// under load must not look like a broken node.
	unhurried = 10 * time.Second

	// frozen is a NodeTimeout for tests of nodes that do not answer.
	frozen = time.Second

	// tooLate is what a call bounded by frozen never takes, however loaded the
	// machine; a stock go-redis client takes longer, 3 s and several attempts.
	tooLate = 4500 * time.Millisecond

	// brief is a TTL that a test sees the end of: a loaded machine gets to have the
	// lock before.
	brief = time.Second

	// patience is how long a test waits for what must happen in the end.
	patience = 20 * time.Second
)

// managerOn is a Manager for the test, closed with it. Zero fields get what
// tests that are not about time need.
func managerOn(t testing.TB, urls []string, edit ...func(*Config)) *Manager {
	t.Helper()
	cfg := Config{Nodes: urls, NodeTimeout: unhurried, Logger: slog.New(slog.DiscardHandler)}
	for _, e := range edit {
		e(&cfg)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func withTTL(d time.Duration) func(*Config)         { return func(c *Config) { c.TTL = d } }
func withNodeTimeout(d time.Duration) func(*Config) { return func(c *Config) { c.NodeTimeout = d } }

// hold takes a lock that must be free.
func hold(t testing.TB, m *Manager, key string, opts ...Option) *Lock {
	t.Helper()
	l, err := m.TryAcquire(t.Context(), key, opts...)
	require.NoError(t, err)
	return l
}

// lockKeys lists the lock keys on the nodes: what is left of Redis' keys when
// counters, markers and queues are taken away.
func lockKeys(t testing.TB, nodes ...*coretest.Node) (found []string) {
	t.Helper()
	for _, n := range nodes {
		keys, err := n.Keys("dlm:")
		require.NoError(t, err)
		for _, k := range keys {
			if strings.Contains(k, "}:l:") || strings.Contains(k, "}:h:") {
				found = append(found, n.Addr()+" "+k)
			}
		}
	}
	return found
}

// requireGone waits until no lock key is left on the nodes; the keys must have
// a TTL beyond patience for that to prove a release.
func requireGone(t testing.TB, nodes ...*coretest.Node) {
	t.Helper()
	require.Eventually(t, func() bool { return len(lockKeys(t, nodes...)) == 0 }, patience, 5*time.Millisecond,
		"lock keys nobody owns: %v", lazily(func() any { return lockKeys(t, nodes...) }))
}

// lazily formats at the time of the message.
type lazily func() any

func (f lazily) String() string { return fmt.Sprint(f()) }

// requireVoting waits until every node of m votes.
func requireVoting(t testing.TB, m *Manager, nodes int) {
	t.Helper()
	require.Eventually(t, func() bool { return voters(m) >= nodes }, patience, 5*time.Millisecond, "%v", lazily(func() any { return m.Stats().Nodes }))
}

func voters(m *Manager) (count int) {
	for _, n := range m.Stats().Nodes {
		if n.Voting {
			count++
		}
	}
	return count
}

// requireHolders waits until those nodes hold the lock.
func requireHolders(t testing.TB, l *Lock, nodes ...*coretest.Node) {
	t.Helper()
	name := l.m.namesOf(l.Key()).lock
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			if !strings.HasPrefix(n.Client().Get(context.Background(), name).Val(), l.Owner()+":") {
				return false
			}
		}
		return true
	}, patience, 2*time.Millisecond, "%s is not held by every node", name)
}

// quickly runs what must not take as long as a stock client's time-out, beside what
// the machine stood still meanwhile.
func quickly(t testing.TB, what string, f func()) {
	t.Helper()
	watched, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, began := standByUntil(watched), monotonic()
	f()
	took := span{began, monotonic()}
	require.Less(t, took.to-took.from-took.within(watch.overslept()), tooLate, what)
}

// events records what an Observer is told.
type events struct {
	mu   sync.Mutex
	list []Event // guarded by mu
}

// Observe implements Observer.
func (e *events) Observe(_ context.Context, ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) count(kind EventKind) (count int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.list {
		if ev.Kind == kind {
			count++
		}
	}
	return count
}

// awaitWaiting waits until that many callers queue behind others of their process.
func awaitWaiting(t testing.TB, m *Manager, callers int) {
	t.Helper()
	require.Eventually(t, func() bool { return m.Stats().Waiting == callers }, patience, time.Millisecond)
}

// awaitRegistered waits until a process stands in Redis' queue for the key.
func awaitRegistered(t testing.TB, m *Manager, key string, processes int, nodes ...*coretest.Node) {
	t.Helper()
	queue := m.namesOf(key).queue
	require.Eventually(t, func() bool {
		total := int64(0)
		for _, n := range nodes {
			total += n.Client().ZCard(context.Background(), queue).Val()
		}
		return total == int64(processes)
	}, patience, 2*time.Millisecond)
}
