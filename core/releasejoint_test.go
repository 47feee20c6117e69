package core

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// What releasejoint.lua answers, does and wakes is what release.lua does for one lock
// after the other, whatever state the locks are in.
func TestAJointReleaseIsManyReleases(t *testing.T) {
	t.Parallel()
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		compareReleases(t, coretest.Redis(t, 1).Node(0).Client(), 150, nil)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		compareReleases(t, coretest.Embedded(t, 1).Clients()[0], 40, nil)
	})
	t.Run("out of memory", func(t *testing.T) {
		t.Parallel()
		node := coretest.Redis(t, 1).Node(0)
		compareReleases(t, node.Client(), 60, func(full bool) {
			limit := "0"
			if full {
				limit = "1"
			}
			require.NoError(t, node.Client().ConfigSet(context.Background(), "maxmemory", limit).Err())
		})
	})
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		node := coretest.Redis(t, 1).Node(0)
		compareReleases(t, node.Client(), 20, func(replica bool) {
			of := []any{"REPLICAOF", "NO", "ONE"}
			if replica {
				of = []any{"REPLICAOF", "127.0.0.1", node.Port()} // of itself: it never syncs
			}
			require.NoError(t, node.Client().Do(context.Background(), of...).Err())
		})
	})
	t.Run("without the rights of the usual case", func(t *testing.T) {
		t.Parallel()
		node := coretest.Redis(t, 1).Node(0)
		var rights []string
		for _, r := range documentedRights(t) {
			if r != "+mget" && r != "+exists" {
				rights = append(rights, r)
			}
		}
		require.NoError(t, node.ACL("dlm", append(rights, "allkeys", "allchannels")...))
		user := redis.NewClient(&redis.Options{Addr: node.Addr(), Username: "dlm", Password: "password"})
		defer user.Close() //nolint:errcheck // end of the test
		compareReleasesAs(t, node.Client(), user, 40, nil)
	})
}

func compareReleases(t *testing.T, client redis.UniversalClient, rounds int, trouble func(bool)) {
	t.Helper()
	compareReleasesAs(t, client, client, rounds, trouble)
}

// compareReleasesAs has one client arrange the same twice and look at it, and another
// release. trouble is switched on for the releases.
func compareReleasesAs(t *testing.T, client, releaser redis.UniversalClient, rounds int, trouble func(bool)) {
	t.Helper()
	var channels []string
	for i := range rounds {
		channels = append(channels, fmt.Sprintf("{%d}:wake:here", i), fmt.Sprintf("{%d}:wake:end", i))
	}
	wakes := client.Subscribe(t.Context(), channels...)
	defer wakes.Close() //nolint:errcheck // end of the test
	for range channels {
		_, err := wakes.Receive(t.Context())
		require.NoError(t, err)
	}
	for i := range rounds {
		random := rand.New(rand.NewPCG(uint64(i), 2)) //nolint:gosec // repeatable, not secret
		b := releaseBatch{
			base: fmt.Sprintf("{%d}:", i), count: 1 + random.IntN(6),
			requeue: []string{"", "gone", "myself"}[random.IntN(3)], seed: random.Uint64(), usual: random.IntN(3) == 0,
		}
		var said [2][]string
		var left [2][]string
		for side, run := range []func(*testing.T, redis.UniversalClient, releaseBatch) []string{releaseEach, releaseTogether} {
			b.arrange(t, client)
			if trouble != nil {
				trouble(true)
			}
			said[side] = run(t, releaser, b)
			if trouble != nil {
				trouble(false)
			}
			left[side] = append(b.state(t, client), b.woken(t, client, wakes)...)
		}
		require.Equal(t, said[0], said[1], "answers to %+v", b)
		require.Equal(t, left[0], left[1], "left by %+v", b)
	}
}

// releaseBatch is some locks in the states that its seed makes, all of them held by
// their owners and wanted by nobody in the usual case.
type releaseBatch struct {
	base, requeue string
	count         int
	seed          uint64
	usual         bool
}

var releaseQueues = [][]string{nil, nil, {"gone"}, {"here"}, {"gone", "here"}, {"myself"}, {"here", "myself"}}

func (b releaseBatch) keys(i int) (lock, queue string) {
	return fmt.Sprintf("%sl%d", b.base, i), fmt.Sprintf("%sq%d", b.base, i)
}

func (b releaseBatch) owner(i int) string { return fmt.Sprintf("owner%d", i) }

func (b releaseBatch) prefix() string { return b.base + "wake:" }

func (b releaseBatch) arrange(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	random, ctx := rand.New(rand.NewPCG(b.seed, 3)), t.Context() //nolint:gosec // repeatable, not secret
	for i := range b.count {
		lock, queue := b.keys(i)
		require.NoError(t, client.Del(ctx, lock, queue).Err())
		state := random.IntN(8)
		switch {
		case b.usual || state > 2:
			require.NoError(t, client.Set(ctx, lock, b.owner(i)+":1:0:", 0).Err())
		case state == 0:
			require.NoError(t, client.Set(ctx, lock, "another:1:0:", 0).Err())
		case state == 1:
			require.NoError(t, client.RPush(ctx, lock, "not a lock").Err())
		}
		if b.usual {
			continue
		}
		for place, waits := range releaseQueues[random.IntN(len(releaseQueues))] {
			require.NoError(t, client.ZAdd(ctx, queue, redis.Z{Score: float64(place), Member: waits}).Err())
		}
		if random.IntN(10) == 0 {
			require.NoError(t, client.Del(ctx, queue).Err())
			require.NoError(t, client.Set(ctx, queue, "not a queue", 0).Err())
		}
	}
}

func (b releaseBatch) state(t *testing.T, client redis.UniversalClient) (found []string) {
	t.Helper()
	for i := range b.count {
		lock, queue := b.keys(i)
		for _, key := range []string{lock, queue} {
			kind := client.Type(t.Context(), key).Val()
			found = append(found, key+" "+kind)
			if kind == "zset" {
				found = append(found, client.ZRange(t.Context(), queue, 0, -1).Val()...)
			}
		}
	}
	return found
}

// woken are the wake-ups so far, in order.
func (b releaseBatch) woken(t *testing.T, client redis.UniversalClient, wakes *redis.PubSub) (told []string) {
	t.Helper()
	require.NoError(t, client.Publish(t.Context(), b.prefix()+"end", "").Err())
	for {
		m, err := wakes.ReceiveMessage(t.Context())
		require.NoError(t, err)
		if m.Channel == b.prefix()+"end" {
			return told
		}
		told = append(told, m.Channel+" "+m.Payload)
	}
}

// code is an answer of a script, an error by its first word.
func code(t *testing.T, reply any, err error) string {
	t.Helper()
	var server redis.Error
	switch {
	case errors.As(err, &server):
		return strings.Fields(err.Error())[0]
	case err != nil:
		require.NoError(t, err)
	}
	return strings.Fields(fmt.Sprint(reply))[0]
}

func releaseEach(t *testing.T, client redis.UniversalClient, b releaseBatch) (said []string) {
	t.Helper()
	for i := range b.count {
		lock, queue := b.keys(i)
		reply, err := client.Eval(t.Context(), releaseSource, []string{lock, queue}, b.owner(i), b.prefix(), "", b.requeue).Result()
		said = append(said, code(t, reply, err))
	}
	return said
}

// jointWithTexts has texts in place of errors, which go-redis does not leave in their place.
const jointWithTexts = `local answer = (function() SOURCE end)()
if type(answer) == 'table' then
  for i, each in ipairs(answer) do
    answer[i] = type(each) == 'table' and each.err or each
  end
end
return answer`

func releaseTogether(t *testing.T, client redis.UniversalClient, b releaseBatch) (said []string) {
	t.Helper()
	var locks, queues []string
	var args []any
	for i := range b.count {
		lock, queue := b.keys(i)
		locks, queues, args = append(locks, lock), append(queues, queue), append(args, b.owner(i))
	}
	reply, err := client.Eval(t.Context(), strings.Replace(jointWithTexts, "SOURCE", releaseJointSource, 1), append(locks, queues...), append(args, b.prefix(), "", b.requeue)...).Result()
	each, ok := reply.([]any)
	if ok {
		require.Len(t, each, b.count)
	}
	for i := range b.count {
		if ok {
			reply = each[i]
		}
		said = append(said, code(t, reply, err))
	}
	return said
}

// Many locks released at once, by callers some of whom have gone, on servers that have
// forgotten the scripts: each is told what became of its own.
func TestManyReleasesAtOnce(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m, other := managerOn(t, nodes.URLs()), managerOn(t, nodes.URLs())
	const locks = 200
	for range 3 {
		held := make([]*Lock, locks)
		for i := range held {
			held[i] = hold(t, m, fmt.Sprint("k", i))
		}
		taken := nodes.All()
		for i := range held {
			if i%10 != 0 {
				continue
			}
			for _, n := range taken { // somebody else's by now
				require.NoError(t, n.Client().Set(t.Context(), held[i].lease.names.lock, "another:1:0:", 0).Err())
			}
		}
		waiting := acquireSoon(t, other, "k1")
		awaitRegistered(t, other, "k1", 1, nodes.All()...)
		require.NoError(t, nodes.ScriptFlush())
		gone, leave := context.WithCancel(t.Context())
		leave()
		errs := make([]error, locks)
		var wait sync.WaitGroup
		for i, l := range held {
			wait.Go(func() {
				if i%7 == 0 {
					errs[i] = l.releaseBy(gone)
				} else {
					errs[i] = l.Release(t.Context())
				}
			})
		}
		wait.Wait()
		for i, err := range errs {
			switch {
			case i%7 == 0 && errors.Is(err, ErrNotReleased): // its caller did not wait
			case i%10 == 0:
				require.ErrorIs(t, err, ErrNotOwner)
			default:
				require.NoError(t, err)
			}
		}
		g := <-waiting
		require.NoError(t, g.err)
		require.NoError(t, g.lock.Release(t.Context()))
		for _, n := range taken {
			for i := 0; i < locks; i += 10 {
				require.Equal(t, int64(1), n.Client().Del(t.Context(), held[i].lease.names.lock).Val(), "another's lock was left alone")
			}
		}
		requireGone(t, nodes.All()...)
	}
}
