package core

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// tellingConn counts what was written.
type tellingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *tellingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// A renewal is held up on its way over a connection that is given up meanwhile,
// and arrives after the release that went over the next one. It finds no lock of
// its owner's: it makes none, and leaves a successor's alone.
func TestRenewalThatArrivesAfterTheReleaseDoesNothing(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	first := coretest.ProxyTo(t, nodes.Node(0).URL())
	through := atomic.Pointer[string]{}
	addr, direct := first.Addr(), nodes.Node(0).Addr()
	through.Store(&addr)
	var conn atomic.Pointer[tellingConn]
	client := redis.NewClient(&redis.Options{Addr: direct, Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, *through.Load())
		if err != nil || *through.Load() == direct {
			return c, err
		}
		told := &tellingConn{Conn: c}
		conn.Store(told)
		return told, nil
	}})
	defer client.Close()
	m := managerOn(t, nil, func(c *Config) { c.Clients = []redis.UniversalClient{client} })
	other := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(time.Hour))

	first.Hold()
	before := conn.Load().written.Load()
	renewing := make(chan error, 1)
	go func() { renewing <- l.Renew(t.Context(), 2*time.Hour) }()
	require.Eventually(t, func() bool { return conn.Load().written.Load() > before }, patience, time.Millisecond)
	through.Store(&direct)
	require.NoError(t, conn.Load().Close()) // what it has sent stays in the proxy
	require.NoError(t, <-renewing, "asked again on the next connection")
	require.NoError(t, l.Release(t.Context()))
	successor := hold(t, other, "k", WithTTL(time.Minute))

	require.NoError(t, first.Resume())
	require.Eventually(t, func() bool { return first.Connections() == 0 }, patience, time.Millisecond, "what was held has arrived")
	require.LessOrEqual(t, leaseOn(t, successor, nodes.Node(0)), time.Minute)
	requireHolders(t, successor, nodes.Node(0))
	require.NoError(t, successor.Release(t.Context()))
	requireGone(t, nodes.All()...)
}
