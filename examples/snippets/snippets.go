// Package snippets holds the Go code that README.md quotes, so that it compiles
// and runs.
package snippets

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

// Profile stands for whatever is dear to make.
type Profile struct{ Name string }

// attitudes are the three kinds of guard.
func attitudes(locks *core.Manager) [3]guard.Config {
	serialize := guard.Config{
		Locks: locks,
		Key:   keyfuncs.MustTemplate("order_<id>"),
	}
	serializeOrLast := guard.Config{
		Locks: locks,
		Key:   keyfuncs.MustTemplate("report_<id>"),
		Stale: time.Minute,
	}
	cached := guard.Config{
		Locks: locks,
		Key:   keyfuncs.MustTemplate("quote_<symbol|lower>"),
		Fresh: time.Second,
		Stale: time.Minute,
	}
	return [3]guard.Config{serialize, serializeOrLast, cached}
}

// keys are of one thing each.
func keys() []keyfuncs.Func {
	return []keyfuncs.Func{
		keyfuncs.MustTemplate("order_<id>"),                          // order_42
		keyfuncs.MustTemplate("quote_<symbol|lower>_<query:page>"),   // quote_sap_2
		keyfuncs.MustTemplate("<context:tenant>:invoice_<json:/id>"), // acme:invoice_7
	}
}

//lint:ignore U1000 used by fencedWrite
var errOutrun = errors.New("a later holder of the lock has written already")

// fencedWrite writes under a lock that may have been lost without our knowing.
//
//lint:ignore U1000 shown in the README
func fencedWrite(ctx context.Context, db *sql.DB, order string) error {
	lock, _ := core.FromContext(ctx)
	result, err := db.ExecContext(ctx,
		`UPDATE orders SET paid = paid + 1, token = ? WHERE id = ? AND token <= ?`,
		lock.FencingToken(), order, lock.FencingToken())
	if err != nil {
		return err
	}
	if rows, err := result.RowsAffected(); err != nil || rows == 1 {
		return err
	}
	return errOutrun
}

func newManager() (*core.Manager, error) {
	return core.New(core.Config{
		Nodes:       []string{"redis://node1:6379", "redis://node2:6379", "redis://node3:6379"},
		TTL:         30 * time.Second,
		Wait:        5 * time.Second,
		RetryDelay:  100 * time.Millisecond,
		MaxRetries:  3,
		DriftFactor: 0.01,
	})
}

func locked(ctx context.Context, locks *core.Manager, process func(context.Context) error) error {
	err := locks.Do(ctx, "my_resource", func(ctx context.Context) error {
		return process(ctx) // ctx ends if the lock is lost
	}, core.WithWait(5*time.Second))
	switch {
	case errors.Is(err, core.ErrNotAcquired):
		// somebody else has it
	case errors.Is(err, core.ErrNoQuorum):
		// too few nodes answered
	}
	return err
}

func extended(ctx context.Context, locks *core.Manager, long func(context.Context) error) error {
	lock, err := locks.Acquire(ctx, "long_task", core.WithTTL(5*time.Second))
	if err != nil {
		return err
	}
	defer lock.Release(ctx)
	if err := lock.Extend(ctx, 5*time.Second); err != nil {
		return err
	}
	return long(lock.Context())
}

func newProfiles(locks *core.Manager, client redis.UniversalClient) (*cache.Cache[Profile], error) {
	return cache.New[Profile](cache.Config{
		Namespace: "profiles",
		Locks:     locks,
		Store:     cache.NewTiered(cache.NewMemory(64<<20), cache.NewRedis(client)),
		Fresh:     30 * time.Second,
		Stale:     time.Minute,
	})
}

func protected(ctx context.Context, profiles *cache.Cache[Profile], fetch func(context.Context) (Profile, error)) (Profile, error) {
	return profiles.Get(ctx, "user_profile_123", fetch)
}

func refreshed(ctx context.Context, profiles *cache.Cache[Profile], fetch func(context.Context) (Profile, error)) (Profile, error) {
	profile, err := profiles.Refresh(ctx, "user_profile_123", fetch)
	if err != nil {
		if old, ok := profiles.Peek(ctx, "user_profile_123"); ok {
			return old.Value, nil
		}
	}
	return profile, err
}

func decorated(
	locks *core.Manager, profiles *cache.Cache[Profile],
	update, fetch func(context.Context, string) (Profile, error),
) (criticalOperation, expensiveQuery func(context.Context, string) (Profile, error)) {
	criticalOperation = core.Guarded(locks,
		func(user string) (string, error) { return "critical_operation_" + user, nil },
		update, core.WithWait(5*time.Second))
	expensiveQuery = cache.Memoize(profiles,
		func(symbol string) (string, error) { return "expensive_query_" + symbol, nil },
		fetch)
	return criticalOperation, expensiveQuery
}

func asked(ctx context.Context, locks *core.Manager) (locked bool, info core.LockInfo, stats core.Stats, err error) {
	locked, err1 := locks.IsLocked(ctx, "my_lock")
	info, err2 := locks.Inspect(ctx, "my_lock") // core.ErrNotLocked when free
	stats = locks.Stats()
	_, err3 := locks.Health(ctx)
	return locked, info, stats, errors.Join(err1, err2, err3)
}
