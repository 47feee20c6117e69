package core

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

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
		"is a replica": func(t *testing.T, ns *coretest.Nodes, n *coretest.Node) {
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
