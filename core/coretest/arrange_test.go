package coretest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func fromURL(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	return dial(t, opts)
}

func TestPersistentNodeRemembers(t *testing.T) {
	t.Parallel()
	n := coretest.Redis(t, 1, coretest.WithPersistence()).Node(0)
	require.NoError(t, fromURL(t, n.URL()).Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, n.Restart())
	require.Equal(t, "v", n.Client().Get(t.Context(), "k").Val())
	require.NoError(t, n.Shutdown())
	require.False(t, n.Alive())
	require.NoError(t, n.Restart())
	require.Equal(t, "v", n.Client().Get(t.Context(), "k").Val())
}

func TestShutdownOfAFrozenNode(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	require.NoError(t, n.Freeze())
	require.NoError(t, n.Shutdown())
	require.False(t, n.Alive())
}

func TestKillOfAFrozenNodeAndRestartOfARunningOne(t *testing.T) {
	t.Parallel()
	n := coretest.Redis(t, 1).Node(0)
	require.NoError(t, n.Freeze())
	require.NoError(t, n.Kill())
	require.NoError(t, n.Thaw(), "thawing a dead node does nothing")
	require.NoError(t, n.Restart())
	first := n.PID()
	require.NoError(t, n.Restart())
	require.NotEqual(t, first, n.PID())
	require.NoError(t, n.Client().Ping(t.Context()).Err())
}

func TestPasswordIsDemandedAndCarriedByTheURL(t *testing.T) {
	t.Parallel()
	const hostile = `p@ss "word" \ %41#/é`
	n := coretest.Redis(t, 1, coretest.WithPassword(hostile)).Node(0)
	require.ErrorContains(t, dial(t, &redis.Options{Addr: n.Addr()}).Ping(t.Context()).Err(), "NOAUTH")
	require.NoError(t, fromURL(t, n.URL()).Ping(t.Context()).Err())

	require.NoError(t, n.RequirePass("other"))
	require.NoError(t, fromURL(t, n.URL()).Ping(t.Context()).Err())
	require.NoError(t, n.Restart())
	require.ErrorContains(t, dial(t, &redis.Options{Addr: n.Addr()}).Ping(t.Context()).Err(), "NOAUTH")
	require.NoError(t, fromURL(t, n.URL()).Ping(t.Context()).Err())

	require.NoError(t, n.RequirePass(""))
	require.Equal(t, "redis://"+n.Addr(), n.URL())
	require.NoError(t, fromURL(t, n.URL()).Ping(t.Context()).Err())
}

func TestACLLimitsAUser(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	require.NoError(t, n.ACL("app", "on", ">secret", "~dlm:*", "+set"))
	app := dial(t, &redis.Options{Addr: n.Addr(), Username: "app", Password: "secret"})
	require.NoError(t, app.Set(t.Context(), "dlm:k", 1, 0).Err())
	require.ErrorContains(t, app.Set(t.Context(), "other", 1, 0).Err(), "NOPERM")
	require.ErrorContains(t, app.Get(t.Context(), "dlm:k").Err(), "NOPERM")
}

func TestTLSIsSpokenAndNothingElse(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2, coretest.WithTLS())
	n := nodes.Node(1)
	require.Equal(t, "rediss://"+n.Addr(), n.URL())
	require.FileExists(t, nodes.CAFile())
	require.NoError(t, dial(t, n.Options()).Ping(t.Context()).Err())
	require.ErrorContains(t, fromURL(t, n.URL()).Ping(t.Context()).Err(), "unknown authority")
	require.Error(t, dial(t, &redis.Options{Addr: n.Addr()}).Ping(within(t, time.Second)).Err())

	p := coretest.ProxyTo(t, n.URL())
	opts := n.Options()
	opts.Addr = p.Addr()
	require.NoError(t, dial(t, opts).Ping(t.Context()).Err(), "through a proxy")
	require.NoError(t, n.Restart())
	require.NoError(t, dial(t, n.Options()).Ping(t.Context()).Err())
}

func TestFullNodeRefusesWrites(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	require.NoError(t, n.FillUp())
	require.ErrorContains(t, n.Client().Set(t.Context(), "k", 1, 0).Err(), "OOM")
	require.NoError(t, n.Config("maxmemory", "0"))
	require.NoError(t, n.Client().Set(t.Context(), "k", 1, 0).Err())
}

func TestReplicaIsReadOnlyUntilPromoted(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2, coretest.WithConfig("repl-diskless-sync-delay", "0"))
	master, replica := nodes.Node(0), nodes.Node(1)
	require.NoError(t, master.Client().Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, replica.ReplicaOf(master))
	require.Eventually(t, func() bool {
		return replica.Client().Get(t.Context(), "k").Val() == "v"
	}, 20*time.Second, 5*time.Millisecond)
	require.ErrorContains(t, replica.Client().Set(t.Context(), "k", 1, 0).Err(), "READONLY")

	require.NoError(t, replica.ReplicaOf(nil))
	require.NoError(t, replica.Client().Set(t.Context(), "k", 1, 0).Err())
	require.NoError(t, replica.Restart())
	require.ErrorIs(t, replica.Client().Get(t.Context(), "k").Err(), redis.Nil,
		"the snapshot it was sent must not come back")
}

func TestKeysTakesThePrefixToTheLetter(t *testing.T) {
	nodes := coretest.Redis(t, 2)
	for _, key := range []string{"a*b", "axb", `a\c`, "a[x]", "b"} {
		require.NoError(t, nodes.Node(0).Client().Set(t.Context(), key, 1, 0).Err())
	}
	require.NoError(t, nodes.Node(1).Client().Set(t.Context(), "b2", 1, 0).Err())
	for prefix, want := range map[string][]string{
		"a*": {"a*b"}, `a\`: {`a\c`}, "a[x]": {"a[x]"}, "b": {"b"}, "c": nil,
	} {
		got, err := nodes.Node(0).Keys(prefix)
		require.NoError(t, err)
		require.Equal(t, want, got, prefix)
	}
	all, err := nodes.Keys("b")
	require.NoError(t, err)
	require.Equal(t, []string{nodes.Node(0).Addr() + " b", nodes.Node(1).Addr() + " b2"}, all)
	require.NoError(t, nodes.FlushAll())
	all, err = nodes.Keys("")
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestCountersCount(t *testing.T) {
	n := coretest.Redis(t, 1).Node(0)
	client := dial(t, n.Options())
	require.NoError(t, client.Ping(t.Context()).Err())
	require.NoError(t, n.ResetCommandCalls())
	before, err := n.CommandsProcessed()
	require.NoError(t, err)
	for range 5 {
		require.NoError(t, client.Set(t.Context(), "k", 1, 0).Err())
	}
	after, err := n.CommandsProcessed()
	require.NoError(t, err)
	require.EqualValues(t, 5+1, after-before, "the five and the first question")
	calls, err := n.CommandCalls()
	require.NoError(t, err)
	require.EqualValues(t, 5, calls["set"])
	connected, err := n.Connections()
	require.NoError(t, err)
	require.EqualValues(t, 2, connected, "the client's and the node's own")
}

func TestScriptFlushForgetsScripts(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	client := nodes.Clients()[0]
	sha := client.ScriptLoad(t.Context(), "return 1").Val()
	require.NoError(t, client.EvalSha(t.Context(), sha, nil).Err())
	require.NoError(t, nodes.ScriptFlush())
	require.ErrorContains(t, client.EvalSha(t.Context(), sha, nil).Err(), "NOSCRIPT")
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	_, err := coretest.Start(t.Context(), 0)
	require.ErrorContains(t, err, "one or more")
	_, err = coretest.Start(t.Context(), 1, coretest.WithConfig("no-such-directive", "1"))
	require.ErrorContains(t, err, "no-such-directive")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = coretest.Start(cancelled, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestStartWithoutRedisServerSaysWhatToType(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := coretest.Start(t.Context(), 1)
	require.ErrorIs(t, err, coretest.ErrNoServer)
	require.ErrorContains(t, err, "apt-get install -y redis-server")
	require.ErrorContains(t, err, "brew install redis")
}

// recorder is a test that fails without failing this one.
type recorder struct {
	testing.TB
	failed []any
}

func (r *recorder) Error(args ...any) { r.failed = append(r.failed, args...) }

func TestFailuresReachTheTest(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	n := coretest.Redis(r, 1).Node(0)
	require.NoError(t, n.Kill())
	require.Error(t, n.Freeze())
	require.Error(t, n.Config("maxmemory", "1"))
	require.Len(t, r.failed, 2)
}

func TestCloseTwiceAndNothingAfter(t *testing.T) {
	nodes, err := coretest.Start(t.Context(), 2)
	require.NoError(t, err)
	require.NoError(t, nodes.Close())
	require.NoError(t, nodes.Close())
	require.False(t, nodes.Node(0).Alive())
	require.ErrorContains(t, nodes.Node(0).Restart(), "closed")
}
