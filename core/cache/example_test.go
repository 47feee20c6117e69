package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// The Python system's caching calls, and what they are here:
//
//	protect_cache_stampede(cache_key, data_fetcher, …)   ExampleCache_Get
//	get_lock(…, return_stale=True, stale_ttl=60)         ExampleCache_Lookup
//	@cache_stampede_protect("expensive_query_{symbol}")  ExampleMemoize
//	refresh_with_lock, then get_stale_data               ExampleCache_Refresh
//	swr_get with create_task(refresh_with_lock)          ExampleConfig_staleWhileRevalidate
//	safe_data_fetch: last resort, fetch without the lock ExampleConfig_directFetch
//	TieredCacheManager                                   ExampleNewTiered
//	clear_stale_cache                                    ExampleCache_Invalidate
//	get_statistics                                       ExampleCache_Stats

type profile struct{ ID, Name string }

func fetchProfile(context.Context) (profile, error) { return profile{"123", "Ada"}, nil }

// locks stands for core.New(core.Config{Nodes: …}) with three or five nodes.
func locks() (*core.Manager, func()) {
	nodes, err := coretest.StartEmbedded(1)
	if err != nil {
		panic(err)
	}
	m, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	return m, func() { _ = m.Close(); _ = nodes.Close() }
}

func mustNew[V any](cfg cache.Config) *cache.Cache[V] {
	c, err := cache.New[V](cfg)
	if err != nil {
		panic(err)
	}
	return c
}

func ExampleCache_Get() {
	manager, stop := locks()
	defer stop()
	profiles := mustNew[profile](cache.Config{Locks: manager, Fresh: time.Minute, Wait: 3 * time.Second})
	defer profiles.Close()

	p, err := profiles.Get(context.Background(), "user_profile_123", fetchProfile)
	fmt.Println(p.Name, err)
	// Output: Ada <nil>
}

func ExampleCache_Lookup() {
	manager, stop := locks()
	defer stop()
	// Calls run one at a time; whoever does not get the lock gets the last value.
	// The fetch needs the lock itself, so it must not run without one.
	users := mustNew[profile](cache.Config{
		Locks: manager, Stale: time.Minute, Wait: 2 * time.Second, OnLockFailure: cache.FailClosed,
	})
	defer users.Close()

	r, err := users.Lookup(context.Background(), "user_data_123", func(ctx context.Context) (profile, error) {
		lock, _ := core.FromContext(ctx)
		if err := lock.Extend(ctx, 5*time.Second); err != nil {
			return profile{}, err
		}
		inside, err := users.Do(context.Background(), cache.Call[profile]{Key: "user_data_123", Fetch: fetchProfile, Wait: -1})
		fmt.Println("meanwhile:", inside.State, errors.Is(err, core.ErrNotAcquired))
		return fetchProfile(ctx)
	})
	fmt.Println(r.State, r.Value.Name, err)
	// Output:
	// meanwhile: none true
	// fetched Ada <nil>
}

func ExampleMemoize() {
	quotes := mustNew[float64](cache.Config{Fresh: time.Minute})
	defer quotes.Close()
	quote := cache.Memoize(quotes,
		func(symbol string) (string, error) { return "expensive_query_" + symbol, nil },
		func(_ context.Context, symbol string) (float64, error) {
			fmt.Println("fetching", symbol)
			return 189.5, nil
		})

	for range 2 {
		price, err := quote(context.Background(), "AAPL")
		fmt.Println(price, err)
	}
	// Output:
	// fetching AAPL
	// 189.5 <nil>
	// 189.5 <nil>
}

func ExampleCache_Refresh() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute, Stale: 5 * time.Minute})
	defer profiles.Close()
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "key", fetchProfile)

	_, err := profiles.Refresh(ctx, "key", func(context.Context) (profile, error) {
		return profile{}, errors.New("the database is down")
	})
	if err != nil {
		old, ok := profiles.Peek(ctx, "key")
		fmt.Println(old.Value.Name, ok, "-", err)
	}
	// Output: Ada true - the database is down
}

func ExampleConfig_staleWhileRevalidate() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Nanosecond, Stale: time.Minute})
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "key", fetchProfile)

	r, err := profiles.Lookup(ctx, "key", func(context.Context) (profile, error) {
		return profile{"123", "Ada Lovelace"}, nil // in the background
	})
	fmt.Println(r.State, r.Value.Name, err)
	_ = profiles.Close() // waits for the refresh
	fmt.Println(profiles.Stats().Refreshes)
	// Output:
	// stale Ada <nil>
	// 1
}

func ExampleConfig_directFetch() {
	manager, stop := locks()
	defer stop()
	ctx := context.Background()
	held, _ := manager.Acquire(ctx, "busy")
	defer held.Release(ctx)
	profiles := mustNew[profile](cache.Config{Locks: manager, Fresh: time.Minute, DirectFetch: true})
	defer profiles.Close()

	r, err := profiles.Do(ctx, cache.Call[profile]{Key: "key", Lock: "busy", Fetch: fetchProfile, Wait: 10 * time.Millisecond})
	fmt.Println(r.State, r.Stored, err)
	// Output: fetched false <nil>
}

func ExampleNewTiered() {
	nodes, _ := coretest.StartEmbedded(1)
	defer nodes.Close()
	client := nodes.Clients()[0]
	profiles := mustNew[profile](cache.Config{
		Namespace: "profiles", Fresh: time.Minute,
		Store: cache.NewTiered(cache.NewMemory(64<<20), cache.NewRedis(client)),
	})
	defer profiles.Close()

	r, err := profiles.Lookup(context.Background(), "123", fetchProfile)
	fmt.Println(r.State, r.Stored, err)
	// Output: fetched true <nil>
}

func ExampleCache_Invalidate() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute})
	defer profiles.Close()
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "123", fetchProfile)

	err := profiles.Invalidate(ctx, "123")
	_, ok := profiles.Peek(ctx, "123")
	fmt.Println(ok, err)
	// Output: false <nil>
}

// article is found by its author's tag as well as by its key.
type article struct{ Title, Author string }

func (a article) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: time.Hour, Tags: []string{"author:" + a.Author}}
}

func ExampleCache_InvalidateTag() {
	articles := mustNew[article](cache.Config{Fresh: time.Hour})
	defer articles.Close()
	ctx := context.Background()
	_, _ = articles.Get(ctx, "7", func(context.Context) (article, error) { return article{"Notes", "ada"}, nil })

	err := articles.InvalidateTag(ctx, "author:ada")
	_, ok := articles.Hit("7")
	fmt.Println(ok, err)
	// Output: false <nil>
}

func ExampleCache_Stats() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute})
	defer profiles.Close()
	for range 3 {
		_, _ = profiles.Get(context.Background(), "123", fetchProfile)
	}
	s := profiles.Stats()
	fmt.Println(s.Fetches, s.Hits)
	// Output: 1 2
}
