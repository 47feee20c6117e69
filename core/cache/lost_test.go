package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// holdUp is a store that is asked for longer than a lock is good for once its holder
// has it.
type holdUp struct {
	cache.Store
	held func() bool
	hold func()
}

func (s *holdUp) Get(ctx context.Context, key string) (cache.Item, error) {
	if s.held() {
		s.hold()
	}
	return s.Store.Get(ctx, key)
}

// Who has lost the lock before the fetch could begin leaves it to whoever has the lock.
func TestNoFetchBeginsUnderALockThatIsLost(t *testing.T) {
	for name, call := range map[string]cache.Call[int]{
		"alone": {Key: "k"}, "inline": {Key: "k", Inline: true}, "serial": {Key: "k", Serial: true}, "refresh": {Key: "k", Force: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := coretest.Piped(t, 1)
				locks := managerWithin(t, time.Second, nodes.Clients())
				store := &holdUp{Store: cache.NewMemory(1 << 20), held: func() bool { return locks.Stats().Held > 0 }}
				c := open[int](t, cache.Config{Locks: locks, LockTTL: 5 * time.Second, Fresh: time.Hour, Store: store, OnLockFailure: cache.FailClosed, Wait: time.Second})
				store.hold = func() {
					_ = nodes.Node(0).Kill()
					time.Sleep(6 * time.Second)
				}
				call.Fetch = unexpected[int](t)
				_, err := c.Do(t.Context(), call)
				require.Error(t, err)
				switch name {
				case "alone":
					assert.ErrorIs(t, err, core.ErrNoQuorum, "it asks for the lock again")
				case "inline":
					assert.ErrorIs(t, err, core.ErrNotAcquired)
				default:
					assert.ErrorIs(t, err, core.ErrLost)
				}
			})
		})
	}
}
