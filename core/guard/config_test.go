package guard_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := guard.New(guard.Config{
		Fresh: -1, Stale: -1, TTL: time.Microsecond, MaxHold: -1, MaxBody: -1, MaxQueue: -1, MaxOutage: -1, HitForMiss: -1, Heuristic: -1,
		ContentionStatus: 200, OnUnavailable: 9, Scope: 9, Jitter: 2,
	})
	for _, field := range []string{"Locks", "Key", "Fresh", "Stale", "TTL", "MaxHold", "MaxBody", "MaxQueue", "MaxOutage", "HitForMiss", "Heuristic",
		"ContentionStatus", "OnUnavailable", "Scope", "Jitter"} {
		require.ErrorContains(t, err, field+":")
	}
}

// A Manager on a Cluster tells no servers to keep responses on, and memory would
// let every process run a request once.
func TestIdempotentNeedsASharedStore(t *testing.T) {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer func() { require.NoError(t, client.Close()) }()
	locks, err := core.New(core.Config{Clients: []redis.UniversalClient{client}})
	require.NoError(t, err)
	defer func() { require.NoError(t, locks.Close()) }()
	_, err = guard.New(guard.Config{Locks: locks, Idempotent: &guard.Idempotent{}})
	require.ErrorContains(t, err, "nil Store")
	g, err := guard.New(guard.Config{Locks: locks, Idempotent: &guard.Idempotent{}, Store: cache.NewRedis(client)})
	require.NoError(t, err)
	require.NoError(t, g.Close())
}

func TestRefusalIsAnErrorLikeAnyOther(t *testing.T) {
	var err error = &guard.Refusal{Status: http.StatusConflict, Err: &core.LockError{Op: "acquire", Key: "k", Err: core.ErrTimeout}}
	require.ErrorIs(t, err, core.ErrNotAcquired)
	var lock *core.LockError
	require.True(t, errors.As(err, &lock))
	require.Contains(t, err.Error(), "409")
}

func TestCloseTwice(t *testing.T) {
	locks := newLocks(t)
	g, err := guard.New(guard.Config{Locks: locks, Fresh: time.Minute, Key: func(*http.Request) (string, error) { return "k", nil }})
	require.NoError(t, err)
	require.NoError(t, g.Close())
	require.NoError(t, g.Close())
}
