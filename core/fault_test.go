package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
// what it was sent before it froze leaves no key when it wakes.
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
			m := managerOn(t, urls, clients, withNodeTimeout(frozen), withTTL(time.Hour))
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
	require.Equal(t, 2, voters(m))
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

// Something of another type under the lock's name is somebody else's: it is
// neither taken over nor deleted.
func TestForeignTypeIsLeftAlone(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	foreign := m.namesOf("k").lock
	for _, n := range nodes.All()[1:] {
		require.NoError(t, n.Client().HSet(t.Context(), foreign, "a", "b").Err())
	}
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNotAcquired)
	_, err = m.Acquire(t.Context(), "k", WithWait(200*time.Millisecond))
	require.Error(t, err)
	requireGone(t, nodes.Node(0))
	for _, n := range nodes.All()[1:] {
		require.Equal(t, "b", n.Client().HGet(t.Context(), foreign, "a").Val())
	}
}

// Every refusal a server knows is kept with the node that said it, and a
// minority of such nodes stops nobody.
func TestNodeErrorsAreKept(t *testing.T) {
	t.Parallel()
	for word, breakIt := range map[string]func(*testing.T, *coretest.Nodes, *coretest.Node){
		"READONLY": func(t *testing.T, ns *coretest.Nodes, n *coretest.Node) {
			require.NoError(t, n.ReplicaOf(ns.Node(0)))
		},
		"OOM":       func(t *testing.T, _ *coretest.Nodes, n *coretest.Node) { require.NoError(t, n.FillUp()) },
		"BUSY":      occupyScripting,
		"MISCONF":   breakSnapshots,
		"LOADING":   loadForLong,
		"NOAUTH":    demandPassword,
		"WRONGTYPE": replaceCounter,
		"NOPERM": func(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
			require.NoError(t, n.ACL("default", "-set", "-eval", "-evalsha"))
		},
		"connection refused": func(t *testing.T, _ *coretest.Nodes, n *coretest.Node) { require.NoError(t, n.Kill()) },
		"no answer": func(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
			require.NoError(t, n.Freeze())
			t.Cleanup(func() { _ = n.Thaw() })
		},
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			nodes := coretest.Redis(t, 3, coretest.WithConfig("enable-debug-command", "yes"))
			m := managerOn(t, nodes.URLs(), func(c *Config) {
				if word == "no answer" {
					c.NodeTimeout = frozen
				}
			})
			require.NoError(t, hold(t, m, "k").Release(t.Context()))
			breakIt(t, nodes, nodes.Node(2))
			l := hold(t, m, "k") // two are enough
			require.NoError(t, l.Release(t.Context()))

			breakIt(t, nodes, nodes.Node(1))
			require.Eventually(t, func() bool { // a connection that broke says no more than that at first
				_, err := m.TryAcquire(t.Context(), "k")
				require.ErrorIs(t, err, ErrNoQuorum)
				require.NotErrorIs(t, err, ErrNotAcquired)
				requireNodeErrors(t, err, nodes.All()[1:]...)
				var q *QuorumError
				require.ErrorAs(t, err, &q)
				require.Equal(t, 2, q.Need)
				require.LessOrEqual(t, q.Got, 1) // the two that failed decide, whether or not the third has answered
				return strings.Contains(q.Nodes[0].Err.Error(), word) && strings.Contains(q.Nodes[1].Err.Error(), word)
			}, patience, 5*time.Millisecond)
			requireGone(t, nodes.Node(0))
			if word == "WRONGTYPE" { // which the lock itself was set before
				requireGone(t, nodes.All()...)
			}
		})
	}
}

// demandPassword has the node ask newcomers for a password, and everybody is one.
func demandPassword(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
	require.NoError(t, n.Config("requirepass", secret))
	require.NoError(t, n.Client().ClientKillByFilter(t.Context(), "TYPE", "normal").Err())
}

// replaceCounter puts something that cannot count in the counter's place.
func replaceCounter(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
	fence := (&Manager{keyBase: "dlm:1:"}).namesOf("k").fence
	require.NoError(t, n.Client().Del(t.Context(), fence).Err())
	require.NoError(t, n.Client().Set(t.Context(), fence, "", 0).Err())
}

// occupyScripting has the node run a script until it is killed.
func occupyScripting(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
	require.NoError(t, n.Config("busy-reply-threshold", "1"))
	endless := redis.NewClient(&redis.Options{Addr: n.Addr(), ReadTimeout: -1, MaxRetries: -1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = endless.Eval(context.Background(), "while true do end", nil).Err()
	}()
	t.Cleanup(func() {
		_ = n.Client().ScriptKill(context.Background()).Err()
		<-done
		_ = endless.Close()
	})
	require.Eventually(t, func() bool {
		err := n.Client().Get(t.Context(), "k").Err()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	}, patience, time.Millisecond)
}

// breakSnapshots has the node fail to save, after which it refuses writes.
func breakSnapshots(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
	dump := filepath.Join(filepath.Dir(n.SocketPath()), "dump.rdb")
	require.NoError(t, os.MkdirAll(filepath.Join(dump, "in-the-way"), 0o700))
	t.Cleanup(func() { _ = os.RemoveAll(dump) })
	require.NoError(t, n.Config("save", "3600 1"))
	require.Eventually(t, func() bool {
		_ = n.Client().BgSave(t.Context()).Err()
		err := n.Client().Set(t.Context(), "probe", "", 0).Err()
		return err != nil && strings.HasPrefix(err.Error(), "MISCONF")
	}, patience, 20*time.Millisecond)
}

// loadForLong has the node load its data, slowly.
func loadForLong(t *testing.T, _ *coretest.Nodes, n *coretest.Node) {
	pipe := n.Client().Pipeline()
	for i := range 1000 {
		pipe.Set(t.Context(), fmt.Sprint("ballast", i), strings.Repeat("x", 1000), 0)
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	require.NoError(t, n.Config("loading-process-events-interval-bytes", "1024"))
	require.NoError(t, n.Config("key-load-delay", "50000"))
	loader := redis.NewClient(&redis.Options{Addr: n.Addr(), ReadTimeout: -1, MaxRetries: -1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = loader.Do(context.Background(), "DEBUG", "RELOAD").Err()
	}()
	t.Cleanup(func() {
		_ = n.Kill()
		<-done
		_ = loader.Close()
	})
	require.Eventually(t, func() bool {
		err := n.Client().Get(t.Context(), "k").Err()
		return err != nil && strings.HasPrefix(err.Error(), "LOADING")
	}, patience, time.Millisecond)
}

func TestForgottenScriptsAreInvisible(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	for i := range 20 {
		forget := func() { require.NoError(t, nodes.ScriptFlush()) }
		key := fmt.Sprint("k", i)
		forget()
		l := hold(t, m, key)
		forget()
		require.NoError(t, l.Renew(t.Context(), time.Hour))
		forget()
		_, err := m.Inspect(t.Context(), key)
		require.NoError(t, err)
		forget()
		require.NoError(t, l.Release(t.Context()))
		requireGone(t, nodes.All()...)
	}
}

// Scripts are forgotten all the time while locks come and go: a repeated acquire
// never overtakes its own release, and nothing waits for ever.
func TestForgottenScriptsUnderLoad(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	stop := make(chan struct{})
	var forgetter, wait sync.WaitGroup
	forgetter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, nodes.ScriptFlush())
			}
		}
	})
	for c := range 16 {
		wait.Go(func() {
			for i := range 20 {
				l, err := m.Acquire(t.Context(), fmt.Sprint("k", c, "-", i), WithWait(patience))
				if assert.NoError(t, err) {
					assert.NoError(t, errors.Join(l.Renew(t.Context(), time.Hour), l.Release(t.Context())))
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	forgetter.Wait()
	requireGone(t, nodes.All()...)
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

// logLines counts what is logged.
type logLines struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (w *logLines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func (w *logLines) about(text string) (count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.lines {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}
