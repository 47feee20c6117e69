package coretest_test

import (
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestEmbeddedClockRuns(t *testing.T) {
	n := coretest.Embedded(t, 2).Node(1)
	client := dial(t, n.Options())
	require.NoError(t, client.Set(t.Context(), "k", 1, 20*time.Millisecond).Err())
	require.Positive(t, client.PTTL(t.Context(), "k").Val())
	require.Eventually(t, func() bool {
		return client.Exists(t.Context(), "k").Val() == 0
	}, 5*time.Second, time.Millisecond)

	now, err := client.Time(t.Context()).Result()
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now, time.Minute)
}

func TestEmbeddedKillAndRestartEmpty(t *testing.T) {
	n := coretest.Embedded(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Set(t.Context(), "k", 1, 0).Err())

	require.NoError(t, n.Kill())
	require.NoError(t, n.Kill(), "killing twice")
	require.ErrorContains(t, client.Ping(t.Context()).Err(), "refused")

	url := n.URL()
	require.NoError(t, n.Restart())
	require.Equal(t, url, n.URL())
	require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestEmbeddedFreezeExecutesWhatCameOnThaw(t *testing.T) {
	n := coretest.Embedded(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Ping(t.Context()).Err())
	n.Freeze()
	n.Freeze()
	require.ErrorIs(t, client.Set(within(t, 20*time.Millisecond), "late", 1, 0).Err(), os.ErrDeadlineExceeded)
	require.Empty(t, n.Keys("late"))
	n.Thaw()
	require.Eventually(t, func() bool { return len(n.Keys("la")) == 1 }, 5*time.Second, time.Millisecond)
}

func TestEmbeddedKilledWhileFrozenExecutesNothing(t *testing.T) {
	n := coretest.Embedded(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Ping(t.Context()).Err())
	n.Freeze()
	require.Error(t, client.Set(within(t, 20*time.Millisecond), "late", 1, 0).Err())
	before := n.Miniredis()
	n.Kill()
	require.Empty(t, before.Keys())
	require.NoError(t, n.Restart())
	require.NoError(t, client.Ping(t.Context()).Err(), "a restarted node is not frozen")
}

func TestPipedFollowsTheBubblesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 1)
		n := nodes.Node(0)
		require.Empty(t, nodes.URLs())
		client := nodes.Clients()[0]
		defer client.Close()
		script := `redis.call("SET", KEYS[1], "v", "PX", ARGV[1]) return redis.call("PTTL", KEYS[1])`
		hour := time.Hour.Milliseconds()
		require.EqualValues(t, hour, client.Eval(t.Context(), script, []string{"k"}, hour).Val())

		time.Sleep(time.Hour - time.Millisecond)
		require.Equal(t, time.Millisecond, client.PTTL(t.Context(), "k").Val())
		now := client.Time(t.Context()).Val()
		require.WithinDuration(t, time.Now(), now, time.Millisecond)
		time.Sleep(time.Millisecond)
		require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil)

		require.NoError(t, client.Set(t.Context(), "k", 1, time.Hour).Err())
		n.FastForward(time.Hour)
		require.Empty(t, n.Keys(""))

		n.Kill()
		require.ErrorIs(t, client.Ping(t.Context()).Err(), io.ErrClosedPipe, "an open connection breaks")
		require.ErrorContains(t, client.Ping(t.Context()).Err(), "refused")
		require.NoError(t, n.Restart())
		require.NoError(t, client.Ping(t.Context()).Err())
	})
}

func TestEmbeddedRefusesNoNodes(t *testing.T) {
	_, err := coretest.StartEmbedded(0)
	require.ErrorContains(t, err, "one or more")
}
