package coretest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial connects over the node's port as a stranger does: one attempt, no pool
// left behind.
func dial(t *testing.T, opts *redis.Options) *redis.Client {
	t.Helper()
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() }) // the test may have closed it
	return client
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestRedisAnswersOnPortAndSocket(t *testing.T) {
	nodes := coretest.Redis(t, 3)
	require.Equal(t, 3, nodes.Len())
	require.Len(t, nodes.URLs(), 3)
	for i, n := range nodes.All() {
		opts, err := redis.ParseURL(nodes.URLs()[i])
		require.NoError(t, err)
		require.Equal(t, n.Addr(), opts.Addr)
		require.NoError(t, dial(t, opts).Set(t.Context(), "who", i, 0).Err())
		onSocket := dial(t, &redis.Options{Network: "unix", Addr: n.SocketPath()})
		who, err := onSocket.Get(t.Context(), "who").Int()
		require.NoError(t, err)
		require.Equal(t, i, who, "the nodes must not share data")
	}
}

func TestKillRefusesAndRestartIsEmpty(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Set(t.Context(), "k", 1, 0).Err())

	require.NoError(t, n.Kill())
	require.NoError(t, n.Kill(), "killing twice")
	require.False(t, n.Alive())
	require.ErrorContains(t, client.Ping(t.Context()).Err(), "refused")

	addr := n.Addr()
	require.NoError(t, n.Restart())
	require.Equal(t, addr, n.Addr())
	require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestFreezeAnswersNothingAndThawExecutesWhatCame(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Ping(t.Context()).Err())

	require.NoError(t, n.Freeze())
	require.True(t, n.Alive())
	require.ErrorIs(t, client.Set(within(t, 50*time.Millisecond), "late", 1, 0).Err(), os.ErrDeadlineExceeded)
	require.NoError(t, n.Thaw())
	require.Eventually(t, func() bool {
		return n.Client().Exists(t.Context(), "late").Val() == 1
	}, 5*time.Second, time.Millisecond, "the buffered SET is executed after all")
}
