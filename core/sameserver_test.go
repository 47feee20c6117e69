package core

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// movable is a name that can come to stand for another server.
type movable struct {
	mu    sync.Mutex
	to    *coretest.Node // guarded by mu
	conns []net.Conn     // guarded by mu
}

func (n *movable) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	n.mu.Lock()
	addr := n.to.Addr()
	n.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.conns = append(n.conns, conn)
	}
	return conn, err
}

// move ends the connections that there are.
func (n *movable) move(to *coretest.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to = to
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

// Two nodes come to stand for the server of a third. However many names a server
// has, that is one vote. One that is its only name again votes, though its own
// connection has not changed.
func TestServerOfSeveralNamesHasOneVote(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	var names [3]movable
	var clients []redis.UniversalClient
	for i, n := range nodes.All() {
		names[i].to = n
		client := redis.NewClient(&redis.Options{Addr: n.Addr(), Dialer: names[i].dial})
		t.Cleanup(func() { _ = client.Close() })
		clients = append(clients, client)
	}
	m := managerOn(t, nil, withTTL(brief), func(c *Config) { c.Clients = clients })
	requireVoting(t, m, 3)

	shared := m.nodes[0].identity()
	for i, n := range m.nodes[1:] {
		names[1+i].move(nodes.Node(0))
		require.Eventually(t, func() bool { return n.cause.Load() == nil && n.identity() == shared }, patience, time.Millisecond)
	}
	require.Equal(t, 1, voters(m))
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "the same server as another node")

	names[0].move(nodes.Node(1))
	names[2].move(nodes.Node(2))
	requireVoting(t, m, 3)
	require.Equal(t, shared, m.nodes[1].identity())
}
