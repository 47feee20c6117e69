package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// tagsApart is a client of several servers: the one with the tag epoch, which a GET
// asks for, can be frozen.
type tagsApart struct {
	redis.UniversalClient
	frozen atomic.Bool
	asked  atomic.Int32
}

func (c *tagsApart) Get(ctx context.Context, key string) *redis.StringCmd {
	c.asked.Add(1)
	if !c.frozen.Load() {
		return c.UniversalClient.Get(ctx, key)
	}
	<-ctx.Done()
	cmd := redis.NewStringCmd(ctx, "get", key)
	cmd.SetErr(ctx.Err())
	return cmd
}

// A frozen master of the tags costs the entries with tags no more, in the long run,
// than one question a pause.
func TestFrozenMasterOfTheTagsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &tagsApart{UniversalClient: coretest.Piped(t, 1).Clients()[0]}
		s := cache.NewRedis(client)
		look := func() (cache.Item, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			return s.Get(ctx, "k")
		}
		it, err := look()
		require.NoError(t, err)
		require.NoError(t, s.Set(t.Context(), "k", cache.Item{Value: []byte("v"), Tags: []string{"t"}, TTL: time.Hour, Mark: it.Mark}))

		client.frozen.Store(true)
		for range 3 {
			_, err := look()
			require.Error(t, err)
		}
		begun, asked := time.Now(), client.asked.Load()
		for range 100 {
			_, err := look()
			require.Error(t, err)
		}
		assert.Zero(t, time.Since(begun))
		assert.Equal(t, asked, client.asked.Load())
		for range 3 {
			time.Sleep(time.Second)
			asked = client.asked.Load()
			for range 10 {
				_, err := look()
				require.Error(t, err)
			}
			assert.Equal(t, asked+1, client.asked.Load(), "one question a pause")
		}

		client.frozen.Store(false)
		time.Sleep(time.Second)
		for range 10 {
			it, err := look()
			require.NoError(t, err, "it answers again")
			assert.Equal(t, "v", string(it.Value))
		}
		client.frozen.Store(true)
		asked = client.asked.Load()
		_, err = look()
		require.Error(t, err)
		assert.Equal(t, asked+2, client.asked.Load(), "what it left unanswered before it answered counts no more")
	})
}
