package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// page decides its own policy.
type page struct {
	Body   string
	policy cache.Policy
}

func (p *page) CachePolicy() cache.Policy { return p.policy }

// counter is a fetch that counts and returns how often it ran.
func counter(n *atomic.Int32) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return int(n.Add(1)), nil }
}

func TestLifeOfAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
		var n atomic.Int32
		look := func() cache.Result[int] {
			r, err := c.Lookup(t.Context(), "k", counter(&n))
			require.NoError(t, err)
			return r
		}
		r := look()
		assert.Equal(t, cache.Result[int]{Value: 1, State: cache.Fetched, TTL: time.Minute, Stored: true}, r)
		time.Sleep(time.Minute - 1)
		r = look()
		assert.Equal(t, cache.Result[int]{Value: 1, State: cache.Fresh, Age: time.Minute - 1, TTL: 1}, r)
		time.Sleep(time.Nanosecond)
		r = look()
		assert.Equal(t, cache.Stale, r.State)
		assert.Equal(t, 1, r.Value)
		synctest.Wait() // the refresh it set off
		r = look()
		assert.Equal(t, cache.Fresh, r.State)
		assert.Equal(t, 2, r.Value)
		time.Sleep(2 * time.Minute)
		r = look()
		assert.Equal(t, cache.Fetched, r.State, "older than fresh and stale together")
		assert.Equal(t, 3, r.Value)
		assert.EqualValues(t, 1, c.Stats().Refreshes)
	})
}

func TestValuePolicyWinsOverConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[*page](t, cache.Config{Fresh: time.Hour, Stale: time.Hour})
		_, err := c.Get(t.Context(), "k", value(&page{"a", cache.Policy{Fresh: time.Second}}))
		require.NoError(t, err)
		_, ok := c.Hit("k")
		assert.True(t, ok)
		time.Sleep(time.Second)
		_, ok = c.Peek(t.Context(), "k")
		assert.False(t, ok)
	})
}

func TestUnshareableResultsDoNotQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[*page](t, cache.Config{Fresh: time.Hour, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		var n atomic.Int32
		fetch := func(context.Context) (*page, error) {
			time.Sleep(time.Second)
			return &page{fmt.Sprint(n.Add(1)), cache.Policy{NoStore: true, HitForMiss: time.Minute}}, nil
		}
		round := func() time.Duration {
			begun := time.Now()
			var (
				wg   sync.WaitGroup
				seen sync.Map
			)
			for range 20 {
				wg.Go(func() {
					r, err := c.Lookup(t.Context(), "k", fetch)
					assert.NoError(t, err)
					assert.Equal(t, cache.Fetched, r.State)
					_, dup := seen.LoadOrStore(r.Value.Body, true)
					assert.False(t, dup, "delivered to two callers")
				})
			}
			wg.Wait()
			return time.Since(begun)
		}
		assert.Less(t, round(), 2100*time.Millisecond, "one finds out, then all at once")
		assert.Less(t, round(), 1100*time.Millisecond, "remembered: all at once")
		_, ok := c.Peek(t.Context(), "k")
		assert.False(t, ok)
	})
}

func TestJitterOnlyShortens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: 100 * time.Second, Jitter: 0.2})
		lives := map[time.Duration]bool{}
		for i := range 50 {
			r, err := c.Lookup(t.Context(), fmt.Sprint(i), value(i))
			require.NoError(t, err)
			assert.LessOrEqual(t, r.TTL, 100*time.Second)
			assert.GreaterOrEqual(t, r.TTL, 80*time.Second)
			lives[r.TTL] = true
		}
		assert.Greater(t, len(lives), 40)
	})
}
