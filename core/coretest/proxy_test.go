package coretest_test

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// proxied is a server, a proxy to it and a client of the proxy that has one
// open connection.
func proxied(t *testing.T) (*coretest.Node, *coretest.Proxy, *redis.Client) {
	t.Helper()
	n := coretest.Redis(t, 1).Node(0)
	p := coretest.ProxyTo(t, n.URL())
	opts, err := redis.ParseURL(p.URL())
	require.NoError(t, err)
	client := dial(t, opts)
	require.NoError(t, client.Ping(t.Context()).Err())
	return n, p, client
}

func eventuallySet(t *testing.T, n *coretest.Node, key string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return n.Client().Exists(t.Context(), key).Val() == 1
	}, 5*time.Second, time.Millisecond)
}

func TestProxyPassesBothWays(t *testing.T) {
	_, p, client := proxied(t)
	big := strings.Repeat("x", 4<<20)
	require.NoError(t, client.Set(t.Context(), "big", big, 0).Err())
	require.Equal(t, big, client.Get(t.Context(), "big").Val())
	require.Equal(t, 1, p.Connections())
	require.Equal(t, 1, p.Accepted())
	require.NoError(t, client.Close())
	require.Eventually(t, func() bool { return p.Connections() == 0 }, 5*time.Second, time.Millisecond)
	client = dial(t, &redis.Options{Addr: p.Addr()})
	require.NoError(t, client.Ping(t.Context()).Err())
	require.Equal(t, 2, p.Accepted())
}

func TestProxyDelaysEachWay(t *testing.T) {
	_, p, client := proxied(t)
	p.Delay(30*time.Millisecond, 20*time.Millisecond)
	began := time.Now()
	require.NoError(t, client.Ping(t.Context()).Err())
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
	p.Delay(time.Hour, 0)
	require.ErrorIs(t, client.Ping(within(t, 20*time.Millisecond)).Err(), os.ErrDeadlineExceeded)
}

func TestProxyHoldsUntilResumed(t *testing.T) {
	n, p, client := proxied(t)
	p.Hold()
	require.ErrorIs(t, client.Set(within(t, 30*time.Millisecond), "late", 1, 0).Err(), os.ErrDeadlineExceeded)
	stranger := dial(t, &redis.Options{Addr: p.Addr()})
	require.ErrorIs(t, stranger.Ping(within(t, 30*time.Millisecond)).Err(), os.ErrDeadlineExceeded,
		"accepted, not refused")
	require.Zero(t, n.Client().Exists(t.Context(), "late").Val())
	require.NoError(t, p.Resume())
	eventuallySet(t, n, "late")
	require.NoError(t, client.Ping(t.Context()).Err())
}

func TestProxyHalfOpenForgetsForGood(t *testing.T) {
	n, p, _ := proxied(t)
	old, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	defer old.Close()
	p.HalfOpen()
	_, err = io.WriteString(old, "SET lost 1\r\n")
	require.NoError(t, err)
	fresh := dial(t, &redis.Options{Addr: p.Addr()})
	require.ErrorIs(t, fresh.Ping(within(t, 30*time.Millisecond)).Err(), os.ErrDeadlineExceeded)

	require.NoError(t, p.Resume())
	require.NoError(t, fresh.Ping(t.Context()).Err(), "a connection made afterwards works")
	_, err = io.WriteString(old, "SET lost 2\r\n")
	require.NoError(t, err)
	require.NoError(t, old.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = old.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, n.Client().Exists(t.Context(), "lost").Val())
}

func TestProxyHalfOpenHidesTheServersDeath(t *testing.T) {
	n, p, _ := proxied(t)
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	defer conn.Close()
	require.Eventually(t, func() bool {
		connected, err := n.ConnectionsReceived()
		return err == nil && connected >= 3
	}, 5*time.Second, time.Millisecond, "the probe of the start, the client's and this one")
	p.HalfOpen()
	require.NoError(t, n.Kill())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, p.Resume())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestProxyResets(t *testing.T) {
	_, p, _ := proxied(t)
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	defer conn.Close()
	require.Eventually(t, func() bool { return p.Connections() == 2 }, 5*time.Second, time.Millisecond)
	p.Reset()
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Eventually(t, func() bool { return p.Connections() == 0 }, 5*time.Second, time.Millisecond)
}

func TestProxyRefusesNewConnectionsOnly(t *testing.T) {
	_, p, client := proxied(t)
	require.NoError(t, p.Refuse())
	require.NoError(t, p.Refuse(), "refusing twice")
	_, err := net.Dial("tcp", p.Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, client.Ping(t.Context()).Err(), "the open connection lives on")
	require.NoError(t, p.Accept())
	require.NoError(t, p.Accept(), "accepting twice")
	require.NoError(t, dial(t, &redis.Options{Addr: p.Addr()}).Ping(t.Context()).Err())
}

func TestProxyDropsRepliesOfExecutedCommands(t *testing.T) {
	n, p, client := proxied(t)
	p.DropReplies()
	require.ErrorIs(t, client.Set(t.Context(), "applied", 1, 0).Err(), io.EOF)
	require.EqualValues(t, 1, n.Client().Exists(t.Context(), "applied").Val())
	require.NoError(t, p.Resume())
	require.NoError(t, client.Ping(t.Context()).Err())
}

func TestProxyDropsRepliesToSomeCommands(t *testing.T) {
	n, p, client := proxied(t)
	p.DropRepliesTo("SET")
	require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil, "others pass")
	require.ErrorIs(t, client.Set(t.Context(), "k", 1, 0).Err(), io.EOF)
	require.Equal(t, "1", n.Client().Get(t.Context(), "k").Val())
}

func TestProxyCutsRequestsInTheMiddle(t *testing.T) {
	n, p, client := proxied(t)
	p.CutRequestsAfter(10)
	require.Error(t, client.Set(t.Context(), "never", 1, 0).Err())
	require.Zero(t, n.Client().Exists(t.Context(), "never").Val())
	require.Error(t, client.Ping(t.Context()).Err(), "a new connection counts afresh, its handshake is cut")
	require.NoError(t, p.Resume())
	require.NoError(t, client.Ping(t.Context()).Err())
}

func TestProxyCutsRepliesInTheMiddle(t *testing.T) {
	n, p, client := proxied(t)
	require.NoError(t, n.Client().Set(t.Context(), "k", "0123456789", 0).Err())
	p.CutRepliesAfter(8) // "$10\r\n012"
	require.ErrorIs(t, client.Get(t.Context(), "k").Err(), io.ErrUnexpectedEOF)
}

func TestProxyToADeadServerBreaksConnections(t *testing.T) {
	n, p, client := proxied(t)
	require.NoError(t, n.Kill())
	require.Error(t, client.Ping(t.Context()).Err())
	require.Error(t, client.Ping(t.Context()).Err())
	require.NoError(t, n.Restart())
	require.NoError(t, client.Ping(t.Context()).Err())
	require.Equal(t, 1, p.Connections())
}

func TestProxyCloseEndsWhatItHolds(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	p, err := coretest.StartProxy(n.URL())
	require.NoError(t, err)
	client := dial(t, &redis.Options{Addr: p.Addr()})
	p.Hold()
	ended := make(chan error)
	go func() { ended <- client.Ping(context.Background()).Err() }()
	require.Eventually(t, func() bool { return p.Connections() == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "closing twice")
	require.Error(t, <-ended)
	require.ErrorIs(t, p.Accept(), net.ErrClosed)
}

func TestProxyRefusesAnAddressItCannotUse(t *testing.T) {
	_, err := coretest.StartProxy("redis://:secret@localhost")
	require.ErrorContains(t, err, "want a URL with host and port")
	require.NotContains(t, err.Error(), "secret")
}
