package core

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The model's node and the Lua that is shipped, on a real server and on the
// imitation, do the same for any sequence of commands.
func TestTheModelIsWhatTheScriptsDo(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		compareWithModel(t, coretest.Redis(t, 1).Node(0).Client(), 40)
	})
	t.Run("embedded", func(t *testing.T) {
		compareWithModel(t, coretest.Embedded(t, 1).Clients()[0], 10)
	})
}

// modelTTL is the TTL that stands for a model's lease: far apart, so that the
// time which passes in the test makes no difference.
func modelTTL(lease uint8) int64 { return int64(lease+1) * 1_000_000_000 }

func compareWithModel(t *testing.T, client redis.UniversalClient, sequences int) {
	for i := range sequences {
		random := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // repeatable, not secret
		real := &realNode{t: t, client: client, base: fmt.Sprintf("{%d}:", i)}
		model, story := modelNode{}, []string(nil)
		for range 40 {
			name, answers := oneCommand(random, &model, real)
			story = append(story, name)
			require.Equal(t, answers[0], answers[1], "sequence %d: answers of model and server to %v", i, story)
			require.Equal(t, model, real.state(), "sequence %d: states of model and server after %v", i, story)
		}
	}
}

// oneCommand does the same to both and returns both answers.
func oneCommand(random *rand.Rand, model *modelNode, real *realNode) (name string, answers [2]any) {
	owner, lease, block := uint8(1+random.IntN(3)), uint8(random.IntN(2)), uint8(1+random.IntN(3))
	first := uint8(1 + random.IntN(60))
	last := first + block - 1
	if model.counter > 180 { // tokens are bytes here
		model.forget()
		real.forget()
	}
	switch random.IntN(8) {
	case 0, 1:
		token := model.acquire(owner, first, block, lease, modelRules{})
		return fmt.Sprintf("acquire %d %d %d %d", owner, first, block, lease), [2]any{int64(token), real.acquire(owner, first, last, lease)}
	case 2:
		return fmt.Sprintf("claim %d %d", owner, first), [2]any{model.claim(owner, first), real.claim(owner, first)}
	case 3:
		return fmt.Sprintf("move %d", last), [2]any{model.move(last), real.move(last)}
	case 4:
		return fmt.Sprintf("raise %d %d %d", owner, first, last), [2]any{model.raise(owner, first, last, modelRules{}), real.raise(owner, first, last)}
	case 5:
		return fmt.Sprintf("release %d", owner), [2]any{model.release(owner), real.release(owner)}
	case 6:
		return fmt.Sprintf("renew %d %d", owner, lease), [2]any{model.renew(owner, lease), real.renew(owner, lease)}
	}
	model.expire()
	real.expire()
	return "expire", [2]any{}
}

// realNode runs the shipped scripts.
type realNode struct {
	t      *testing.T
	client redis.UniversalClient
	base   string
}

func (n *realNode) lock() string  { return n.base + "l" }
func (n *realNode) fence() string { return n.base + "f" }
func (n *realNode) queue() string { return n.base + "q" }

func ownerName(owner uint8) string { return "owner" + strconv.Itoa(int(owner)) }

func (n *realNode) run(source string, keys []string, args ...any) any {
	n.t.Helper()
	reply, err := n.client.Eval(context.Background(), source, keys, args...).Result()
	require.NoError(n.t, err)
	return reply
}

func (n *realNode) acquire(owner, first, last, lease uint8) int64 {
	token := n.run(acquireSource, []string{n.lock(), n.fence(), n.queue()}, ownerName(owner), modelTTL(lease), first, last, "0:", "", "t").(int64)
	return max(token, 0) // how long is left has no part in the model
}

func (n *realNode) claim(owner, first uint8) bool {
	args := []any{"SET", n.lock(), ownerName(owner) + ":" + strconv.Itoa(int(first)) + ":0:", "NX", "PX", modelTTL(0)}
	err := n.client.Do(context.Background(), args...).Err()
	if err != redis.Nil { //nolint:errorlint // go-redis returns it bare
		require.NoError(n.t, err)
	}
	return err == nil
}

func (n *realNode) move(last uint8) bool {
	moved, err := n.client.ZAddArgs(context.Background(), n.fence(), redis.ZAddArgs{
		XX: true, GT: true, Ch: true, Members: []redis.Z{{Score: float64(last), Member: "t"}},
	}).Result()
	require.NoError(n.t, err)
	return moved == 1
}

func (n *realNode) raise(owner, first, last uint8) bool {
	return n.run(raiseSource, []string{n.lock(), n.fence()}, ownerName(owner), first, last, "t").(int64) == 1
}

// release counts "nobody was waiting" as released.
func (n *realNode) release(owner uint8) int {
	return int(min(n.run(releaseSource, []string{n.lock(), n.queue()}, ownerName(owner), "wake:", "", "").(int64), 1))
}

func (n *realNode) renew(owner, lease uint8) int {
	return int(n.run(renewSource, []string{n.lock()}, ownerName(owner), modelTTL(lease)).([]any)[0].(int64))
}

func (n *realNode) expire() {
	require.NoError(n.t, n.client.Del(context.Background(), n.lock()).Err())
}

func (n *realNode) forget() {
	require.NoError(n.t, n.client.Del(context.Background(), n.lock(), n.fence(), n.queue()).Err())
}

// state reads back what the model knows.
func (n *realNode) state() modelNode {
	n.t.Helper()
	ctx := context.Background()
	var s modelNode
	if score, err := n.client.ZScore(ctx, n.fence(), "t").Result(); err == nil {
		s.counter = uint8(score)
	}
	held, err := n.client.Get(ctx, n.lock()).Result()
	if err != nil {
		return s
	}
	rec, ok := parseRecord(held, 0)
	require.True(n.t, ok, "%q", held)
	owner, err := strconv.Atoi(strings.TrimPrefix(rec.owner, "owner"))
	require.NoError(n.t, err)
	ttl, err := n.client.PTTL(ctx, n.lock()).Result()
	require.NoError(n.t, err)
	s.holder, s.token, s.lease = uint8(owner), uint8(rec.token), uint8(ttl.Milliseconds()/(modelTTL(0)+1))
	return s
}
