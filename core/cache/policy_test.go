package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
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

func TestContentionOnAStaleValue(t *testing.T) {
	slow := func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil }
	for _, tc := range []struct {
		contention cache.Contention
		wait       time.Duration
		state      cache.State
		after      time.Duration
		err        error
	}{
		{cache.StaleFirst, 0, cache.Stale, 0, nil},
		{cache.FreshFirst, 0, cache.Shared, time.Second, nil},
		{cache.FreshFirst, time.Millisecond, cache.Stale, time.Millisecond, nil},
		{cache.FreshFirst, -1, cache.Stale, 0, nil},
		{cache.FreshOnly, 0, cache.Shared, time.Second, nil},
		{cache.FreshOnly, time.Millisecond, 0, time.Millisecond, core.ErrTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			_, err := c.Get(t.Context(), "k", value(1))
			require.NoError(t, err)
			time.Sleep(time.Minute)
			go func() { _, _ = c.Do(t.Context(), cache.Call[int]{Key: "k", Fetch: slow, Contention: cache.FreshOnly}) }()
			synctest.Wait()
			begun := time.Now()
			r, err := c.Do(t.Context(), cache.Call[int]{Key: "k", Fetch: slow, Contention: tc.contention, Wait: tc.wait})
			assert.ErrorIs(t, err, tc.err)
			assert.Equal(t, tc.state, r.State)
			assert.Equal(t, tc.after, time.Since(begun))
		})
	}
}

func TestInlineStaleCall(t *testing.T) {
	t.Run("with Background refreshes behind the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			call := cache.Call[int]{Key: "k", Inline: true, Fetch: value(1), Background: value(2)}
			_, err := c.Do(t.Context(), call)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			call.Fetch = unexpected[int](t)
			ctx, cancel := context.WithCancel(t.Context())
			r, err := c.Do(ctx, call)
			cancel() // the caller's end is not the refresh's
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			synctest.Wait()
			r, ok := c.Hit("k")
			assert.True(t, ok)
			assert.Equal(t, 2, r.Value)
		})
	})
	t.Run("without it the winner refreshes and the others get the stale value", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute})
			call := cache.Call[int]{Key: "k", Inline: true, Fetch: value(1)}
			_, err := c.Do(t.Context(), call)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			call.Fetch = func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil }
			var wg sync.WaitGroup
			wg.Go(func() {
				r, err := c.Do(t.Context(), call)
				assert.NoError(t, err)
				assert.Equal(t, cache.Fetched, r.State)
				assert.True(t, r.Expired)
			})
			synctest.Wait()
			r, err := c.Do(t.Context(), call)
			assert.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			wg.Wait()
		})
	})
}

func TestBackgroundRefreshesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Minute, Background: 3})
		for i := range 10 {
			_, err := c.Get(t.Context(), fmt.Sprint(i), value(1))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		for i := range 10 {
			r, err := c.Lookup(t.Context(), fmt.Sprint(i), func(context.Context) (int, error) { time.Sleep(time.Second); return 2, nil })
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
		}
		synctest.Wait()
		assert.Equal(t, 3, c.Stats().Background)
		assert.EqualValues(t, 7, c.Stats().Dropped)
		require.NoError(t, c.Close(), "Close waits for the refreshes")
		assert.EqualValues(t, 13, c.Stats().Fetches)
	})
}

func TestStaleIfError(t *testing.T) {
	boom := errors.New("boom")
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, StaleIfError: time.Hour, RetryAfter: 10 * time.Second})
		_, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		var tries atomic.Int32
		fail := func(context.Context) (int, error) { tries.Add(1); return 0, boom }
		for range 100 { // 100 s of calls, one a second
			r, err := c.Lookup(t.Context(), "k", fail)
			require.NoError(t, err)
			assert.Equal(t, cache.Stale, r.State)
			assert.ErrorIs(t, r.Err, boom)
			time.Sleep(time.Second)
		}
		assert.EqualValues(t, 10, tries.Load(), "one try per RetryAfter")
		time.Sleep(time.Hour)
		_, err = c.Get(t.Context(), "k", fail)
		assert.ErrorIs(t, err, boom, "too old even for an error")
		v, err := c.Get(t.Context(), "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
	})
}

func TestNegativeCaching(t *testing.T) {
	missing := errors.New("no such user")
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Hour, Negative: time.Minute, NegativeErrors: []error{missing}})
		var tries atomic.Int32
		fail := func(context.Context) (int, error) { tries.Add(1); return 0, fmt.Errorf("user 7: %w", missing) }
		for range 5 {
			_, err := c.Get(t.Context(), "k", fail)
			require.ErrorIs(t, err, missing)
			require.ErrorContains(t, err, "user 7")
		}
		assert.EqualValues(t, 1, tries.Load())
		_, ok := c.Peek(t.Context(), "k")
		assert.False(t, ok)
		time.Sleep(time.Minute)
		v, err := c.Get(t.Context(), "k", value(7))
		require.NoError(t, err)
		assert.Equal(t, 7, v)
		other := errors.New("other")
		for range 2 {
			_, err := c.Get(t.Context(), "x", func(context.Context) (int, error) { tries.Add(1); return 0, other })
			require.ErrorIs(t, err, other)
		}
		assert.EqualValues(t, 3, tries.Load(), "errors that are not named are not remembered")
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

func TestEarlyRefreshBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, EarlyBeta: 3})
		var n atomic.Int32
		fetch := func(context.Context) (int, error) { time.Sleep(time.Second); return int(n.Add(1)), nil }
		_, err := c.Get(t.Context(), "k", fetch)
		require.NoError(t, err)
		time.Sleep(45 * time.Second)
		for range 200 { // possible from 30 s before the expiry on, and near certain a second before it
			r, err := c.Lookup(t.Context(), "k", fetch)
			require.NoError(t, err)
			require.Equal(t, cache.Fresh, r.State, "nobody waits for an early refresh, and nobody gets a stale value")
			time.Sleep(100 * time.Millisecond)
		}
		assert.EqualValues(t, 2, n.Load())
	})
}

func TestSerializedCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Locks: manager(t, coretest.Piped(t, 1).Clients()), Wait: time.Minute})
		var running, most, runs atomic.Int32
		fetch := func(context.Context) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return int(runs.Add(1)), nil
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, err := c.Get(t.Context(), "k", fetch); assert.NoError(t, err) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, most.Load())
		assert.EqualValues(t, 10, runs.Load(), "nothing is shared")
		_, ok := c.Peek(t.Context(), "k")
		assert.False(t, ok, "nothing is stored")
	})
}

func TestSerializedCallsGiveLosersTheLastValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Stale: time.Minute, Wait: 5 * time.Second, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		var n atomic.Int32
		fetch := func(context.Context) (int, error) { time.Sleep(time.Second); return int(n.Add(1)), nil }
		for range 2 { // nobody else is there: each one fetches
			r, err := c.Lookup(t.Context(), "k", fetch)
			require.NoError(t, err)
			assert.Equal(t, cache.Fetched, r.State)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, err := c.Get(t.Context(), "k", fetch); assert.NoError(t, err) })
		synctest.Wait()
		r, err := c.Lookup(t.Context(), "k", unexpected[int](t))
		require.NoError(t, err)
		assert.Equal(t, cache.Stale, r.State)
		assert.Equal(t, 2, r.Value)
		wg.Wait()
	})
}

func TestRefreshFetchesWhateverIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Hour, Wait: time.Second, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		_, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		v, err := c.Refresh(t.Context(), "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		r, ok := c.Hit("k")
		assert.True(t, ok)
		assert.Equal(t, 2, r.Value)

		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.Refresh(t.Context(), "k", func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 3, nil })
		}()
		synctest.Wait()
		_, err = c.Refresh(t.Context(), "k", unexpected[int](t))
		assert.ErrorIs(t, err, core.ErrTimeout)
		<-done
		boom := errors.New("boom")
		_, err = c.Refresh(t.Context(), "k", func(context.Context) (int, error) { return 0, boom })
		assert.ErrorIs(t, err, boom, "a refresh that fails says so although a value is stored")
	})
}

func TestMemoize(t *testing.T) {
	c := open[string](t, cache.Config{Fresh: time.Minute})
	var n atomic.Int32
	square := cache.Memoize(c,
		func(x int) (string, error) {
			if x < 0 {
				return "", errors.New("negative")
			}
			return fmt.Sprint(x), nil
		},
		func(_ context.Context, x int) (string, error) { n.Add(1); return fmt.Sprint(x * x), nil })
	for range 3 {
		v, err := square(t.Context(), 12)
		require.NoError(t, err)
		assert.Equal(t, "144", v)
	}
	assert.EqualValues(t, 1, n.Load())
	_, err := square(t.Context(), -1)
	assert.ErrorContains(t, err, "negative")
}

func TestBadCallsAreRefused(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Minute})
	_, err := c.Get(t.Context(), "", value(1))
	assert.ErrorIs(t, err, cache.ErrInvalid)
	_, err = c.Get(t.Context(), "k", nil)
	assert.ErrorIs(t, err, cache.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Get(ctx, "k", unexpected[int](t))
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, c.Close())
	_, err = c.Get(t.Context(), "k", unexpected[int](t))
	assert.ErrorIs(t, err, cache.ErrClosed)
	require.NoError(t, c.Close(), "twice is fine")
}

func TestConfigNamesEveryMistake(t *testing.T) {
	_, err := cache.New[int](cache.Config{Fresh: -1, Jitter: 1, EarlyBeta: -1, Negative: 1, Background: -1, Namespace: "a\x00"})
	require.ErrorIs(t, err, cache.ErrInvalid)
	for _, field := range []string{"Fresh", "Jitter", "EarlyBeta", "NegativeErrors", "Background", "Namespace"} {
		assert.ErrorContains(t, err, field+":")
	}
	_, err = cache.New[int](cache.Config{})
	assert.ErrorContains(t, err, "Locks:")
}

// counted counts the Gets of a Store.
type counted struct {
	cache.Store
	gets atomic.Int32
}

func (s *counted) Get(ctx context.Context, key string) (cache.Item, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, key)
}

func TestFetchThatPeeksLearnsWhatItsLookupFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &counted{Store: cache.NewMemory(1 << 20)}
		c := open[int](t, cache.Config{
			Fresh: time.Minute, Stale: time.Minute, Contention: cache.FreshFirst, Locks: manager(t, coretest.Piped(t, 1).Clients()),
			Store: cache.NewTiered(cache.NewMemory(1<<20), far),
		})
		_, err := c.Get(t.Context(), "k", func(ctx context.Context) (int, error) {
			before := far.gets.Load()
			_, ok := c.Peek(ctx, "k")
			assert.False(t, ok)
			assert.Equal(t, before, far.gets.Load(), "what is known is not asked for again")
			_, _ = c.Peek(ctx, "other")
			assert.Equal(t, before+1, far.gets.Load(), "of other keys nothing is known")
			return 1, nil
		})
		require.NoError(t, err)
		time.Sleep(90 * time.Second)
		_, err = c.Get(t.Context(), "k", func(ctx context.Context) (int, error) {
			r, ok := c.Peek(ctx, "k")
			assert.True(t, ok)
			assert.Equal(t, 1, r.Value)
			assert.Equal(t, cache.Stale, r.State)
			require.NoError(t, c.Invalidate(t.Context(), "k"))
			_, ok = c.Peek(ctx, "k")
			assert.False(t, ok, "not what was purged since")
			return 2, nil
		})
		require.NoError(t, err)
	})
}
