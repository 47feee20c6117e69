package cache_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

// watchedStore counts the looks into it, and can be down.
type watchedStore struct {
	cache.Store
	down  atomic.Bool
	looks atomic.Int32
}

var errDown = errors.New("down")

func (s *watchedStore) Get(ctx context.Context, key string) (cache.Item, error) {
	s.looks.Add(1)
	if s.down.Load() {
		return cache.Item{}, errDown
	}
	return s.Store.Get(ctx, key)
}

func (s *watchedStore) Delete(ctx context.Context, keys ...string) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.Delete(ctx, keys...)
}

func (s *watchedStore) DeleteTags(ctx context.Context, tags ...string) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.DeleteTags(ctx, tags...)
}

// At the end of its wait a call asks the store only about what it would take.
func TestLateCallAsksForNothingItWouldNotTake(t *testing.T) {
	for name, tc := range map[string]struct {
		call  cache.Call[int]
		state cache.State
		looks int32
	}{
		"joined, any value":      {cache.Call[int]{Contention: cache.FreshFirst}, cache.Stale, 1},
		"joined, fresh only":     {cache.Call[int]{Contention: cache.FreshOnly}, 0, 0},
		"inline, any value":      {cache.Call[int]{Contention: cache.FreshFirst, Lock: "shared", Inline: true}, cache.Stale, 2},
		"inline, fresh only":     {cache.Call[int]{Contention: cache.FreshOnly, Lock: "shared", Inline: true}, 0, 1},
		"own flight, any value":  {cache.Call[int]{Contention: cache.FreshFirst, Lock: "shared"}, cache.Stale, 2},
		"own flight, fresh only": {cache.Call[int]{Contention: cache.FreshOnly, Lock: "shared"}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &watchedStore{Store: cache.NewMemory(1 << 20)}
				c := open[int](t, cache.Config{Fresh: time.Minute, Stale: time.Hour, Store: s})
				_, err := c.Get(t.Context(), "k", value(1))
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				slow := cache.Call[int]{Key: "k", Contention: cache.FreshOnly, Lock: tc.call.Lock,
					Fetch: func(context.Context) (int, error) { time.Sleep(time.Minute); return 2, nil }}
				if tc.call.Lock != "" {
					slow.Key = "another, under the same lock"
				}
				ended := make(chan struct{})
				go func() { _, _ = c.Do(context.Background(), slow); close(ended) }()
				defer func() { <-ended }()
				synctest.Wait()
				looks := s.looks.Load()
				call := tc.call
				call.Key, call.Wait, call.Fetch = "k", time.Second, unexpected[int](t)
				r, err := c.Do(t.Context(), call)
				assert.Equal(t, tc.state, r.State)
				if tc.state == 0 {
					require.ErrorIs(t, err, core.ErrTimeout)
				}
				assert.Equal(t, looks+tc.looks, s.looks.Load())
			})
		})
	}
}

// What memory had no room for stands in for an error, and for who waits in vain,
// while the store cannot be asked; not what memory has heard the purge of.
func TestMemoryThatForgetsPurgesNothing(t *testing.T) {
	nothing := func(*cache.Cache[tagged]) error { return nil }
	for name, tc := range map[string]struct {
		purge  func(*cache.Cache[tagged]) error
		served bool
	}{
		"no purge": {nothing, true},
		"key":      {func(c *cache.Cache[tagged]) error { return c.Invalidate(context.Background(), "k") }, false},
		"tag":      {func(c *cache.Cache[tagged]) error { return c.InvalidateTag(context.Background(), "t") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &watchedStore{Store: cache.NewMemory(1 << 20)}
				c := open[tagged](t, cache.Config{Fresh: time.Minute, Stale: time.Hour, Contention: cache.FreshFirst,
					Wait: 2 * time.Second, Store: cache.NewTiered(cache.NewMemory(1), s)})
				_, err := c.Get(t.Context(), "k", value(tagged{1}))
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				type got struct {
					r   cache.Result[tagged]
					err error
				}
				leader, joined := make(chan got, 1), make(chan got, 1)
				sorry := errors.New("sorry")
				get := func(to chan<- got) {
					r, err := c.Lookup(context.Background(), "k", func(context.Context) (tagged, error) {
						time.Sleep(time.Minute)
						return tagged{}, sorry
					})
					to <- got{r, err}
				}
				go get(leader)
				synctest.Wait()
				go get(joined)
				synctest.Wait()
				s.down.Store(true)
				if err := tc.purge(c); !tc.served {
					require.ErrorIs(t, err, cache.ErrStore)
				}
				for why, end := range map[error]<-chan got{core.ErrTimeout: joined, sorry: leader} {
					x := <-end
					if tc.served {
						require.NoError(t, x.err)
						assert.Equal(t, cache.Stale, x.r.State)
						assert.Equal(t, 1, x.r.Value.V)
						assert.ErrorIs(t, x.r.Err, why)
					} else {
						assert.ErrorIs(t, x.err, why)
					}
				}
			})
		})
	}
}
