package core

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// nodeEvents keeps what it is told of nodes.
type nodeEvents struct {
	mu    sync.Mutex
	kinds []EventKind // guarded by mu
}

// Observe implements Observer.
func (e *nodeEvents) Observe(_ context.Context, event Event) {
	if event.Node == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kinds = append(e.kinds, event.Kind)
}

func (e *nodeEvents) take() []EventKind {
	e.mu.Lock()
	defer e.mu.Unlock()
	kinds := e.kinds
	e.kinds = nil
	return kinds
}

// Whoever watches the nodes while they are restarted one after the other goes on
// to the next when this one is told to be up.
func TestNodeIsToldToBeUpWhenItVotes(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, *coretest.EmbeddedNode){
		"restarted": func(t *testing.T, n *coretest.EmbeddedNode) {
			require.NoError(t, n.Kill())
			time.Sleep(time.Second)
			require.NoError(t, n.Restart())
		},
		"flushed": func(_ *testing.T, n *coretest.EmbeddedNode) { n.FlushAll() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				nodes := coretest.Piped(t, 3)
				events, log := &nodeEvents{}, &logLines{}
				m := managerIn(t, nodes, func(c *Config) {
					c.Observer, c.Logger = events, slog.New(slog.NewTextHandler(log, nil))
				})
				require.NoError(t, hold(t, m, "k").Release(t.Context()))
				require.Empty(t, events.take(), "a node that has always voted is not told of")

				lose(t, nodes.Node(0))
				for range 100 { // a node that comes behind the majority is not asked what it has forgotten
					require.NoError(t, hold(t, m, "k").Release(t.Context()))
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(bubbleTTL / 2)
				require.False(t, m.Stats().Nodes[0].Voting)
				require.Equal(t, []EventKind{EventNodeDown}, events.take())
				require.Equal(t, 1, log.about("does not vote\" node"))
				require.Equal(t, 1, log.about("in quarantine"))
				require.Zero(t, log.about("votes again"))

				time.Sleep(bubbleTTL)
				require.True(t, m.Stats().Nodes[0].Voting)
				require.Equal(t, []EventKind{EventNodeUp}, events.take())
				require.Equal(t, 1, log.about("votes again"))
			})
		})
	}
}

// A node of a Cluster that is named like an independent server answers everything
// but what locks need.
func TestNodeOfAClusterGrantsNothing(t *testing.T) {
	t.Parallel()
	node := coretest.Redis(t, 1, coretest.WithConfig("cluster-enabled", "yes")).Node(0)
	m := managerOn(t, []string{node.URL()})
	health, err := m.Health(t.Context())
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "NewClusterClient")
	require.Zero(t, health.Voting)
	_, err = m.TryAcquire(t.Context(), "k")
	require.ErrorContains(t, err, "NewClusterClient")
}

func TestServersThatCannotGrantLocks(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]error{
		"redis_mode:standalone\r\nrole:master\r\n": nil,
		"":                                    nil, // not told
		"role:slave\r\n":                      errReplica,
		"redis_mode:cluster\r\n":              errClusterNode,
		"# Server\r\nredis_mode:sentinel\r\n": errSentinel,
	} {
		require.Equal(t, want, parseInfo(info).unfit(), "%q", info)
	}
}
