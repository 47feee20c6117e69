// Package snippets holds the Go code that README.md quotes, so that it compiles
// and runs.
package snippets

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

// Profile stands for whatever is dear to make.
type Profile struct{ Name string }

// modes are those of a guard.
func modes(locks *core.Manager) [3]guard.Config {
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

// degraded never fails for want of a lock: it takes the value that another
// process makes, an old one, or makes one itself as a last resort.
func degraded(locks *core.Manager, store cache.Store) (*cache.Cache[Profile], error) {
	return cache.New[Profile](cache.Config{
		Namespace:     "profiles",
		Locks:         locks,
		Store:         store,
		Fresh:         30 * time.Second,
		Stale:         5 * time.Minute, // stale_ttl
		Wait:          2 * time.Second, // timeout
		DirectFetch:   true,            // when the wait is over: without the lock, and nothing is stored
		OnLockFailure: cache.FailOpen,  // when Redis is down: once per process
	})
}

// fallback is what to do for want of a lock where nothing is cached.
func fallback(ctx context.Context, locks *core.Manager, operation, instead func(context.Context) error) error {
	err := locks.Do(ctx, "operation", operation, core.WithWait(5*time.Second))
	if errors.Is(err, core.ErrTimeout) {
		return instead(ctx)
	}
	return err
}

// lastKnown tells an old value from a new one.
func lastKnown(ctx context.Context, profiles *cache.Cache[Profile], fetch func(context.Context) (Profile, error)) (Profile, error) {
	result, err := profiles.Lookup(ctx, "user_profile_123", fetch)
	if err == nil && result.State == cache.Stale && result.Age > time.Minute {
		return Profile{}, errTooOld // is_stale_acceptable
	}
	return result.Value, err
}

var errTooOld = errors.New("too old")

// healthy is a health check that says what is wrong.
func healthy(ctx context.Context, locks *core.Manager) error {
	health, err := locks.Health(ctx) // within NodeTimeout; an error when too few nodes can vote
	for _, node := range health.Nodes {
		if node.Err != nil {
			slog.Warn("lock node", "node", node.Node, "error", node.Err)
		}
	}
	return err
}

// probes are the same for an orchestrator.
func probes(mux *http.ServeMux, locks *core.Manager) {
	mux.Handle("GET /healthz", guard.HealthHandler(locks))
	mux.Handle("GET /readyz", guard.ReadinessHandler(locks))
}

// monitor logs what becomes of locks until ctx ends.
func monitor(ctx context.Context, locks *core.Manager, every time.Duration) {
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			s := locks.Stats()
			slog.Info("locks", "held", s.Held, "waiting", s.Waiting, "refused", s.Refused, "lost", s.Lost, "quorum", s.Quorum)
		}
	}
}
