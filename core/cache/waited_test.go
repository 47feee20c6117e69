package cache_test

import (
	"context"
	"errors"
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

// private is a value that is nobody else's, and may be remembered as such.
type private struct {
	V          int
	HitForMiss time.Duration
	Shareable  bool
}

func (p private) CachePolicy() cache.Policy {
	if p.Shareable {
		return cache.Policy{Fresh: time.Hour}
	}
	return cache.Policy{NoStore: true, HitForMiss: p.HitForMiss}
}

// A call in one process waits for the lock of another one, and says so, whatever
// it gets in the end.
func TestCallsThatWaitForAnotherProcessSaySo(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	for name, made := range map[string]private{
		"shared":       {V: 1, Shareable: true},
		"private":      {V: 1},
		"hit for miss": {V: 1, HitForMiss: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			winner := fleet[private](t, nodes, 1, cache.Config{Namespace: name, Fresh: time.Hour, Wait: patience})[0]
			waiter := fleet[private](t, nodes, 1, cache.Config{Namespace: name, Fresh: time.Hour, Wait: patience})[0]
			inside, leave, first := make(chan struct{}), make(chan struct{}), make(chan cache.Result[private], 1)
			go func() {
				r, err := winner.Do(context.Background(), cache.Call[private]{Key: "k", Inline: true, Fetch: func(ctx context.Context) (private, error) {
					assert.False(t, cache.Waited(ctx))
					close(inside)
					<-leave
					return made, nil
				}})
				assert.NoError(t, err)
				first <- r
			}()
			<-inside
			second := make(chan cache.Result[private], 1)
			go func() {
				r, err := waiter.Do(context.Background(), cache.Call[private]{Key: "k", Inline: true, Fetch: func(ctx context.Context) (private, error) {
					assert.True(t, cache.Waited(ctx))
					return private{V: 2}, nil
				}})
				assert.NoError(t, err)
				second <- r
			}()
			var found <-chan struct{}
			require.Eventually(t, func() bool { found = waiter.Contested("k"); return found != nil }, patience, time.Millisecond)
			<-found
			close(leave)
			require.False(t, (<-first).Waited)
			got := <-second
			require.True(t, got.Waited)
			if made.Shareable {
				require.Equal(t, cache.Shared, got.State)
				require.Equal(t, 1, got.Value.V)
				return
			}
			require.Equal(t, cache.Fetched, got.State)
			require.Equal(t, 2, got.Value.V)
		})
	}
}

// Who joins a caller that gives up takes its place, having waited.
func TestSuccessorOfALeaderHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := manager(t, coretest.Piped(t, 1).Clients())
		c := open[int](t, cache.Config{Fresh: time.Minute, Locks: locks, Wait: time.Hour})
		held, err := locks.Acquire(t.Context(), "shared", core.WithTTL(time.Hour))
		require.NoError(t, err)
		call := cache.Call[int]{Key: "k", Lock: "shared", Inline: true, Fetch: func(ctx context.Context) (int, error) {
			assert.True(t, cache.Waited(ctx))
			return 1, nil
		}}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { _, err := c.Do(ctx, call); left <- err }()
		synctest.Wait()
		got := make(chan cache.Result[int], 1)
		go func() {
			r, err := c.Do(context.Background(), call)
			assert.NoError(t, err)
			got <- r
		}()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-left, context.Canceled)
		synctest.Wait()
		require.NoError(t, held.Release(t.Context()))
		require.True(t, (<-got).Waited)
	})
}

// Without a wait a call fetches what nobody else fetches, and is refused as soon
// as somebody does.
func TestNoWaitIsNoRefusal(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, wait := range []time.Duration{-1, 1} {
			synctest.Test(t, func(t *testing.T) {
				locks := manager(t, coretest.Piped(t, 1).Clients())
				for name, cfg := range map[string]cache.Config{"locks": {Fresh: time.Minute, Locks: locks}, "no locks": {Fresh: time.Minute}} {
					c := open[int](t, cfg)
					call := cache.Call[int]{Key: name, Inline: inline, Wait: wait, Fetch: func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }}
					call.Lock = name
					done := make(chan error, 1)
					go func() { _, err := c.Do(context.Background(), call); done <- err }()
					synctest.Wait()
					call.Key = "another, under the same lock"
					begun := time.Now()
					_, err := c.Do(context.Background(), call)
					require.ErrorIs(t, err, core.ErrNotAcquired, name)
					call.Key = name
					_, err = c.Do(context.Background(), call)
					require.ErrorIs(t, err, core.ErrNotAcquired, name)
					require.Less(t, time.Since(begun), time.Second)
					require.NoError(t, <-done, name)
				}
			})
		}
	}
}

// What a purge has removed while a fetch ran is not served in place of its error,
// nor to who waited for it.
func TestPurgedValueStandsInForNothing(t *testing.T) {
	for name, purge := range map[string]func(*cache.Cache[tagged]) error{
		"key": func(c *cache.Cache[tagged]) error { return c.Invalidate(context.Background(), "k") },
		"tag": func(c *cache.Cache[tagged]) error { return c.InvalidateTag(context.Background(), "t") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open[tagged](t, cache.Config{Fresh: time.Minute, Stale: time.Hour, Contention: cache.FreshFirst, Wait: 2 * time.Second})
				_, err := c.Get(t.Context(), "k", value(tagged{1}))
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				sorry := errors.New("sorry")
				leader, joined := make(chan error, 1), make(chan error, 1)
				fetch := func(context.Context) (tagged, error) { time.Sleep(time.Minute); return tagged{}, sorry }
				go func() { _, err := c.Get(context.Background(), "k", fetch); leader <- err }()
				synctest.Wait()
				go func() { _, err := c.Get(context.Background(), "k", fetch); joined <- err }()
				synctest.Wait()
				require.NoError(t, purge(c))
				require.ErrorIs(t, <-joined, core.ErrTimeout)
				require.ErrorIs(t, <-leader, sorry)
			})
		})
	}
}

// tagged is a value that is found by a tag, too.
type tagged struct{ V int }

func (tagged) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: time.Minute, Stale: time.Hour, Tags: []string{"t"}}
}

// refusals counts what a Manager's Observer is told of them.
type refusals struct{ n atomic.Int64 }

func (r *refusals) Observe(_ context.Context, e core.Event) {
	if e.Kind == core.EventRefused {
		r.n.Add(1)
	}
}

// A call that finds the lock taken and waits for what its holder makes has been refused
// nothing.
func TestWaitingIsNoRefusal(t *testing.T) {
	for name, change := range map[string]func(*cache.Call[int]){
		"for a value": func(*cache.Call[int]) {}, "for a turn": func(c *cache.Call[int]) { c.Serial = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := &refusals{}
				locks, err := core.New(core.Config{Clients: coretest.Piped(t, 1).Clients(), Observer: told, Logger: quiet})
				require.NoError(t, err)
				defer func() { assert.NoError(t, locks.Close()) }()
				var calls sync.WaitGroup
				for range 2 { // processes
					c := open[int](t, cache.Config{Locks: locks, Fresh: time.Hour, Wait: time.Minute})
					call := cache.Call[int]{Key: "k", Fetch: func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil }}
					change(&call)
					calls.Go(func() { _, err := c.Do(t.Context(), call); assert.NoError(t, err) })
					synctest.Wait()
				}
				calls.Wait()
				assert.Zero(t, locks.Stats().Refused)
				assert.Zero(t, told.n.Load())
				assert.EqualValues(t, 2, locks.Stats().Acquired)
			})
		})
	}
}
