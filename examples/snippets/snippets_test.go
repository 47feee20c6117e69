package snippets

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func manager(t *testing.T) *core.Manager {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 3).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	return locks
}

func TestAttitudesAreValid(t *testing.T) {
	for _, cfg := range attitudes(manager(t)) {
		g, err := guard.New(cfg)
		require.NoError(t, err)
		require.NoError(t, g.Close())
	}
	require.Len(t, keys(), 3)
}

func TestManagerOfThePythonSettings(t *testing.T) {
	locks, err := newManager() // of hosts that are not there
	require.NoError(t, err)
	require.NoError(t, locks.Close())
}

func TestLocks(t *testing.T) {
	ctx, locks := t.Context(), manager(t)
	failed := errors.New("failed")
	holding := func(key string, result error) func(context.Context) error {
		return func(ctx context.Context) error {
			lock, ok := core.FromContext(ctx)
			require.True(t, ok)
			require.Equal(t, key, lock.Key())
			return result
		}
	}
	require.NoError(t, locked(ctx, locks, holding("my_resource", nil)))
	require.ErrorIs(t, locked(ctx, locks, holding("my_resource", failed)), failed)
	require.NoError(t, extended(ctx, locks, holding("long_task", nil)))

	is, _, _, err := asked(ctx, locks)
	require.False(t, is)
	require.ErrorIs(t, err, core.ErrNotLocked)
	held, err := locks.Acquire(ctx, "my_lock")
	require.NoError(t, err)
	is, info, stats, err := asked(ctx, locks)
	require.NoError(t, err)
	require.True(t, is)
	require.Equal(t, held.Owner(), info.Owner)
	require.Equal(t, 1, stats.Held)
}

func TestCaches(t *testing.T) {
	ctx, locks := t.Context(), manager(t)
	client := redis.NewClient(coretest.Embedded(t, 1).Node(0).Options())
	defer func() { require.NoError(t, client.Close()) }()
	profiles, err := newProfiles(locks, client)
	require.NoError(t, err)
	defer func() { require.NoError(t, profiles.Close()) }()

	fetches := 0
	fetch := func(context.Context) (Profile, error) { fetches++; return Profile{"Ann"}, nil }
	for range 2 {
		got, err := protected(ctx, profiles, fetch)
		require.NoError(t, err)
		require.Equal(t, Profile{"Ann"}, got)
	}
	require.Equal(t, 1, fetches)

	got, err := refreshed(ctx, profiles, func(context.Context) (Profile, error) { return Profile{}, errors.New("down") })
	require.NoError(t, err)
	require.Equal(t, Profile{"Ann"}, got, "the value before")

	critical, expensive := decorated(locks, profiles,
		func(ctx context.Context, user string) (Profile, error) {
			lock, _ := core.FromContext(ctx)
			return Profile{lock.Key()}, nil
		},
		func(_ context.Context, symbol string) (Profile, error) { return Profile{symbol}, nil })
	got, err = critical(ctx, "7")
	require.NoError(t, err)
	require.Equal(t, Profile{"critical_operation_7"}, got)
	got, err = expensive(ctx, "SAP")
	require.NoError(t, err)
	require.Equal(t, Profile{"SAP"}, got)
}
