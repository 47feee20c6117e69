package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// The purge generation of a key is evicted between the purge and the set of a
// fetch that began before it, in a bucket that had none when it began.
func TestLostGenerationBringsNothingBack(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]cache.Config{"alone": {Fresh: time.Minute}, "with locks": {Fresh: time.Minute}, "serial": {Stale: time.Minute}} {
		for _, servers := range []int{1, 3} {
			t.Run(name, func(t *testing.T) {
				nodes := coretest.Redis(t, servers)
				var client redis.UniversalClient = nodes.Node(0).Client()
				if servers > 1 {
					client = ringClient(t, nodes)
				}
				if name != "alone" {
					cfg.Locks = manager(t, nodes.Clients())
				}
				cfg.Store = cache.NewRedis(client)
				c := open[string](t, cfg)
				_, err := c.Get(t.Context(), "k", func(ctx context.Context) (string, error) {
					require.NoError(t, c.Invalidate(ctx, "k"))
					forgetGenerations(t, nodes)
					return "old", nil
				})
				require.NoError(t, err)
				require.EqualValues(t, 1, c.Stats().Fenced)
				_, held := c.Peek(t.Context(), "k")
				require.False(t, held, "from before the purge")
			})
		}
	}
}

// forgetGenerations does what an eviction does.
func forgetGenerations(t testing.TB, nodes *coretest.Nodes) {
	lost := 0
	for _, n := range nodes.All() {
		gens, err := n.Client().Keys(t.Context(), "dlm:c1:*:g").Result()
		require.NoError(t, err)
		for _, gen := range gens {
			require.NoError(t, n.Client().Del(t.Context(), gen).Err())
			lost++
		}
	}
	require.Positive(t, lost)
}
