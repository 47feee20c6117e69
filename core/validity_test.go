package core

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// By the clock of a bubble: a lock is relied upon until the TTL after the first
// command was sent, less 1 % and 2 ms for drift, and a grant that leaves nothing
// of that is none.
func TestValidityToTheNanosecond(t *testing.T) {
	t.Parallel()
	const latency = 30 * time.Millisecond // of the grant: a claim's two commands
	for _, c := range []struct {
		ttl   time.Duration
		valid bool
	}{
		{time.Hour, true}, {time.Second, true}, {63 * time.Millisecond, true}, // 63 - 60 - 0.63 - 2 = 0.37
		{62 * time.Millisecond, false}, {3 * time.Millisecond, false},
	} {
		t.Run(fmt.Sprint(c.ttl), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := newStandIns(t, 3, latency)
				m := managerOnStandIns(t, nodes, Config{NodeTimeout: time.Second, TTL: time.Hour})
				defer func() {
					require.NoError(t, m.Close())
					time.Sleep(time.Minute)
				}()
				require.NoError(t, hold(t, m, "k").Release(t.Context())) // makes the counter, in a round trip more
				began, drift := time.Now(), c.ttl/100+2*time.Millisecond
				l, err := m.TryAcquire(t.Context(), "k", WithTTL(c.ttl))
				if !c.valid {
					require.ErrorIs(t, err, ErrNoQuorum)
					require.ErrorContains(t, err, "a longer TTL helps")
					return
				}
				require.NoError(t, err)
				require.Equal(t, 2*latency, time.Since(began))
				require.Equal(t, began.Add(c.ttl-drift), l.Until())
				if c.ttl < time.Second {
					return
				}
				began = time.Now()
				require.NoError(t, l.Renew(t.Context(), c.ttl))
				require.Equal(t, began.Add(c.ttl-drift), l.Until(), "from the start of the call")
				left := time.Until(l.Info().ExpiresAt)
				began = time.Now()
				require.NoError(t, l.Extend(t.Context(), time.Hour))
				require.Equal(t, began.Add(left+time.Hour), l.Info().ExpiresAt)
				require.NoError(t, l.Release(t.Context()))
			})
		})
	}
}

// A thousand locks are renewed for ten minutes by as many goroutines as one. Not in
// parallel with other tests, whose goroutines would count.
func TestRenewalTakesOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := managerOnStandIns(t, newStandIns(t, 3, 0), Config{TTL: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		defer func() {
			require.NoError(t, m.Close())
			time.Sleep(time.Minute)
		}()
		one := hold(t, m, "one", WithAutoRenew(), WithMaxHold(2*time.Hour))
		synctest.Wait()
		before := runtime.NumGoroutine()
		locks := []*Lock{one}
		for i := range 1000 {
			locks = append(locks, hold(t, m, fmt.Sprint(i), WithAutoRenew(), WithMaxHold(2*time.Hour)))
		}
		for range 10 {
			time.Sleep(time.Minute)
			synctest.Wait()
			require.LessOrEqual(t, runtime.NumGoroutine(), before)
		}
		for _, l := range locks {
			require.NoError(t, l.Context().Err())
		}
	})
}
