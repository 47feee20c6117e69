package wire

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func shipped(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile("../../lua/" + name)
	require.NoError(t, err)
	return string(source)
}

// The shipped scripts on a real server, which does not know them, or forgets them, or
// whose answer is lost after it has executed them.
func TestJointReleasesOnAServer(t *testing.T) {
	node := coretest.Redis(t, 1).Node(0)
	proxy := coretest.ProxyTo(t, node.URL())
	release := NewJointScript(shipped(t, "release.lua"), shipped(t, "releasejoint.lua"))
	opt, err := redis.ParseURL(proxy.URL())
	require.NoError(t, err)
	up := make(chan struct{}, 16)
	stream := NewStream(Options{
		Dial:  Dialer(opt, time.Minute),
		Greet: func(context.Context, *Session) error { return nil }, // loads nothing
		Up:    func() { up <- struct{}{} }, Down: func(error) {},
		Timeout: time.Minute, DialTimeout: time.Minute, Sole: true,
	})
	stream.Start()
	t.Cleanup(func() { stream.Close(0) })
	<-up

	const locks = 5
	client, ctx := node.Client(), t.Context()
	lock := func(i int) string { return "lock" + strconv.Itoa(i) }
	releaseAll := func(meanwhile func()) map[int]Reply {
		for i := range locks {
			require.NoError(t, client.Set(ctx, lock(i), "me:1:0:", 0).Err())
		}
		box := newInbox()
		box.came = make(chan struct{}, locks)
		together(stream, func() {
			for i := range locks {
				stream.Send(time.Now(), Call{Req: NewRequest(release, 2, lock(i), "queue"+strconv.Itoa(i), "me", "wake:", "", ""), To: insistent{box, theSame}, Node: i})
			}
		})
		meanwhile()
		for range locks {
			<-box.came
		}
		require.Zero(t, client.Exists(ctx, lock(0), lock(1), lock(2), lock(3), lock(4)).Val())
		return box.replies
	}
	all := func(r Reply) map[int]Reply { return map[int]Reply{0: r, 1: r, 2: r, 3: r, 4: r} }

	require.Equal(t, all(Reply{Int: 2}), releaseAll(func() {}), "unknown to the server")
	require.NoError(t, node.ScriptFlush())
	require.Equal(t, all(Reply{Int: 2}), releaseAll(func() {}), "forgotten by the server")
	require.NoError(t, node.ResetCommandCalls())
	require.Equal(t, all(Reply{Int: 2}), releaseAll(func() {}))
	calls, err := node.CommandCalls()
	require.NoError(t, err)
	require.Equal(t, int64(1), calls["evalsha"], "one run for all")

	proxy.DropRepliesTo(lock(3))
	lost := releaseAll(func() {
		require.Eventually(t, func() bool { return client.Exists(ctx, lock(3)).Val() == 0 }, time.Minute, time.Millisecond)
		require.NoError(t, proxy.Resume())
	})
	require.Equal(t, all(Reply{Repeated: true}), lost, "they were released already")
}
