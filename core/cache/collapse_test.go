package cache_test

import (
	"context"
	"errors"
	"runtime"
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

func TestManyCallersShareOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute})
		var fetches atomic.Int32
		fetch := func(context.Context) (int, error) {
			fetches.Add(1)
			time.Sleep(time.Second)
			return 42, nil
		}
		var states sync.Map
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				r, err := c.Lookup(t.Context(), "k", fetch)
				assert.NoError(t, err)
				assert.Equal(t, 42, r.Value)
				states.Store(i, r.State)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, fetches.Load())
		count := map[cache.State]int{}
		states.Range(func(_, s any) bool { count[s.(cache.State)]++; return true })
		assert.Equal(t, map[cache.State]int{cache.Fetched: 1, cache.Shared: 199}, count)
		r, err := c.Lookup(t.Context(), "k", unexpected[int](t))
		require.NoError(t, err)
		assert.Equal(t, cache.Fresh, r.State)
		assert.Zero(t, c.Stats().InFlight)
	})
}

func TestDifferentKeysDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		begun := time.Now()
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b", "c"} {
			wg.Go(func() {
				_, err := c.Get(t.Context(), key, func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Less(t, time.Since(begun), 1500*time.Millisecond)
	})
}

func TestLeaderThatLeavesFailsNobody(t *testing.T) {
	for _, inline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute})
			gate := make(chan struct{})
			call := cache.Call[int]{Key: "k", Inline: inline, Fetch: func(ctx context.Context) (int, error) {
				select {
				case <-gate:
					return 7, nil
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}}
			leader, leave := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() { _, err := c.Do(leader, call); left <- err }()
			synctest.Wait()
			got := make(chan cache.Result[int], 1)
			go func() { r, err := c.Do(t.Context(), call); assert.NoError(t, err); got <- r }()
			synctest.Wait()
			leave()
			synctest.Wait()
			if !inline {
				assert.ErrorIs(t, <-left, context.Canceled)
			}
			close(gate)
			r := <-got
			assert.Equal(t, 7, r.Value)
			assert.Equal(t, cache.Shared, r.State)
			assert.EqualValues(t, 1, c.Stats().Fetches)
		})
	}
}

func TestInlineFetchNobodyWaitsForIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute})
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := c.Do(ctx, cache.Call[int]{Key: "k", Inline: true, Fetch: func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}})
			done <- err
		}()
		synctest.Wait()
		leave()
		assert.ErrorIs(t, <-done, context.Canceled)
		// Whoever comes next does not inherit the end.
		v, err := c.Get(t.Context(), "k", value(2))
		require.NoError(t, err)
		assert.Equal(t, 2, v)
	})
}

func TestDetachedFetchRunsOnAfterEverybodyLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Get(ctx, "slow", func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 5, nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(3 * time.Second)
		v, err := c.Get(t.Context(), "slow", unexpected[int](t))
		require.NoError(t, err)
		assert.Equal(t, 5, v)
	})
}

func TestWaiterLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute})
		slow := func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 1, nil }
		leader := make(chan error, 1)
		go func() { _, err := c.Get(t.Context(), "k", slow); leader <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := c.Get(ctx, "k", slow)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begun))
		assert.NoError(t, <-leader)
	})
}

func TestWaitEndsInRefusalOrDirectFetch(t *testing.T) {
	for _, direct := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := open[int](t, cache.Config{Fresh: time.Minute, Wait: time.Second, DirectFetch: direct})
			leader := make(chan int, 1)
			go func() {
				v, err := c.Get(t.Context(), "k", func(context.Context) (int, error) { time.Sleep(time.Minute); return 1, nil })
				assert.NoError(t, err, "Wait does not limit the caller's own fetch")
				leader <- v
			}()
			synctest.Wait()
			begun := time.Now()
			v, err := c.Get(t.Context(), "k", value(2))
			assert.Equal(t, time.Second, time.Since(begun))
			if direct {
				assert.NoError(t, err)
				assert.Equal(t, 2, v)
			} else {
				assert.ErrorIs(t, err, core.ErrTimeout)
				assert.ErrorIs(t, err, core.ErrNotAcquired)
				assert.EqualValues(t, 1, c.Stats().Refused)
			}
			assert.Equal(t, 1, <-leader)
		})
	}
}

// panicCase runs a leader whose fetch does what ends says, and one waiter.
func panicCase(t *testing.T, inline bool, end func()) (leader any, goexit bool, waiter error) {
	c := open[int](t, cache.Config{Fresh: time.Minute, Locks: manager(t, coretest.Piped(t, 1).Clients())})
	gate := make(chan struct{})
	call := cache.Call[int]{Key: "k", Inline: inline, Fetch: func(context.Context) (int, error) { <-gate; end(); return 0, nil }}
	ended := make(chan struct{})
	returned := false
	go func() {
		defer close(ended)
		defer func() { leader = recover() }()
		_, _ = c.Do(t.Context(), call)
		returned = true
	}()
	synctest.Wait()
	waited := make(chan error, 1)
	go func() { _, err := c.Do(t.Context(), call); waited <- err }()
	synctest.Wait()
	close(gate)
	<-ended
	waiter = <-waited
	// The lock is free and the key usable at once.
	v, err := c.Get(t.Context(), "k", value(3))
	require.NoError(t, err)
	assert.Equal(t, 3, v)
	return leader, !returned && leader == nil, waiter
}

func TestPanicIsTheLeadersAndResolvesEverybody(t *testing.T) {
	abort := errors.New("abort")
	for _, inline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			got, _, waiter := panicCase(t, inline, func() { panic(abort) })
			assert.Same(t, abort, got)
			var p *cache.PanicError
			require.ErrorAs(t, waiter, &p)
			assert.ErrorIs(t, waiter, abort)
			assert.NotEmpty(t, p.Stack)
		})
	}
}

func TestGoexitIsTheLeadersAndResolvesEverybody(t *testing.T) {
	for _, inline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			_, goexit, waiter := panicCase(t, inline, runtime.Goexit)
			assert.True(t, goexit)
			var p *cache.PanicError
			require.ErrorAs(t, waiter, &p)
			assert.Nil(t, p.Value)
		})
	}
}

func TestInlineFetchRunsOnTheCallersGoroutine(t *testing.T) {
	c := open[int](t, cache.Config{Fresh: time.Minute})
	stack := make([]byte, 64<<10)
	_, err := c.Do(t.Context(), cache.Call[int]{Key: "k", Inline: true, Fetch: func(context.Context) (int, error) {
		stack = stack[:runtime.Stack(stack, false)]
		return 1, nil
	}})
	require.NoError(t, err)
	assert.Contains(t, string(stack), "TestInlineFetchRunsOnTheCallersGoroutine(")
}

type tenant struct{}

func TestFetchSeesValuesAndLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		for _, inline := range []bool{false, true} {
			for _, force := range []bool{false, true} {
				ctx := context.WithValue(t.Context(), tenant{}, "acme")
				ran := false
				_, err := c.Do(ctx, cache.Call[int]{Key: "k", Lock: "order_42", Inline: inline, Force: force, Serial: !force && inline,
					Fetch: func(ctx context.Context) (int, error) {
						ran = true
						assert.Equal(t, "acme", ctx.Value(tenant{}))
						lock, ok := core.FromContext(ctx)
						if assert.True(t, ok) {
							assert.Equal(t, "order_42", lock.Key())
						}
						return 1, nil
					}})
				require.NoError(t, err)
				assert.True(t, ran)
				require.NoError(t, c.Invalidate(ctx, "k"))
			}
		}
	})
}

func TestReentrantLookupIsADeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open[int](t, cache.Config{Fresh: time.Minute, Locks: manager(t, coretest.Piped(t, 1).Clients())})
		_, err := c.Get(t.Context(), "k", func(ctx context.Context) (int, error) {
			require.NoError(t, c.Invalidate(ctx, "k")) // so that the inner call cannot join the outer one
			_, err := c.Get(ctx, "k", value(1))
			return 0, err
		})
		require.ErrorIs(t, err, core.ErrDeadlock)
	})
}

func TestDeadHolderIsReplacedWhenItsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 2 * time.Second
		nodes := coretest.Piped(t, 1)
		// What a process leaves behind that died during its fetch: nobody renews or
		// releases it, and nobody tells of a fill.
		_, err := manager(t, nodes.Clients()).Acquire(t.Context(), "cache::k", core.WithTTL(lease))
		require.NoError(t, err)
		c := open[int](t, cache.Config{Fresh: time.Minute, Wait: time.Minute, Locks: manager(t, nodes.Clients())})
		begun := time.Now()
		v, err := c.Get(t.Context(), "k", value(1))
		require.NoError(t, err)
		assert.Equal(t, 1, v)
		// Who polls within the lease's last millisecond is told of none that is left, and
		// comes again after RetryDelay.
		assert.LessOrEqual(t, time.Since(begun), lease+100*time.Millisecond+10*time.Millisecond)
	})
}
