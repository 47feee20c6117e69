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
	users := mustNew[profile](cache.Config{Locks: manager, Stale: time.Minute, Wait: 2 * time.Second})
	defer users.Close()
	ctx := context.Background()

	r, err := users.Lookup(ctx, "user_data_123", fetchProfile)
	fmt.Println(r.State, r.Value.Name, err)
	_, _ = users.Lookup(ctx, "user_data_123", func(context.Context) (profile, error) {
		meanwhile, err := users.Lookup(ctx, "user_data_123", fetchProfile) // of somebody else
		fmt.Println(meanwhile.State, meanwhile.Value.Name, err)
		return profile{"123", "Ada Lovelace"}, nil
	})
	// Output:
	// fetched Ada <nil>
	// stale Ada <nil>
}

func ExampleCache_Lookup_staleStrategy() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Nanosecond, Stale: time.Hour, Contention: cache.FreshFirst})
	defer profiles.Close()
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "data_key", fetchProfile)

	acceptable := func(r cache.Result[profile]) bool { return r.Age < 5*time.Minute }
	r, err := profiles.Lookup(ctx, "data_key", func(context.Context) (profile, error) {
		return profile{}, errors.New("the database is down")
	})
	switch {
	case err != nil:
		fmt.Println("no data:", err)
	case r.State == cache.Stale && !acceptable(r):
		fmt.Println("stale data not acceptable")
	default:
		fmt.Println(r.State, r.Value.Name, "-", r.Err)
	}
	// Output: stale Ada - the database is down
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
	manager, stop := locks()
	defer stop()
	profiles := mustNew[profile](cache.Config{Locks: manager, Fresh: time.Minute, Stale: 5 * time.Minute, Wait: 200 * time.Millisecond})
	defer profiles.Close()
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "key", fetchProfile)

	swrGetData := func(fetch func(context.Context) (profile, error)) (profile, error) {
		fresh, err := profiles.Refresh(ctx, "key", fetch)
		if errors.Is(err, core.ErrNotAcquired) { // somebody else refreshes
			if old, ok := profiles.Peek(ctx, "key"); ok && old.Age < 5*time.Minute {
				return old.Value, nil
			}
		}
		return fresh, err
	}
	p, err := swrGetData(func(context.Context) (profile, error) {
		p, err := swrGetData(fetchProfile) // of somebody else, meanwhile
		fmt.Println(p.Name, err)
		return profile{"123", "Ada Lovelace"}, nil
	})
	fmt.Println(p.Name, err)
	// Output:
	// Ada <nil>
	// Ada Lovelace <nil>
}

func ExampleCache_Refresh_failed() {
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

// A caller that asks for the same thing again and again need not look it up
// every time.
func ExampleCache_HitAgain() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Hour})
	defer profiles.Close()
	ctx := context.Background()
	_, _ = profiles.Get(ctx, "7", func(context.Context) (profile, error) { return profile{Name: "Ada"}, nil })

	var spot cache.Spot
	_, found := profiles.HitAt(&spot, "7")
	_, again := profiles.HitAgain(&spot)
	_ = profiles.Invalidate(ctx, "7")
	_, purged := profiles.HitAgain(&spot)
	fmt.Println(found, again, purged)
	// Output: true true false
}

func ExampleCache_Stats() {
	memory := cache.NewMemory(64 << 20)
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute, Store: memory})
	defer profiles.Close()
	for range 3 {
		_, _ = profiles.Get(context.Background(), "123", fetchProfile)
	}
	s := profiles.Stats()
	fmt.Println("fetches:", s.Fetches, "hits:", s.Hits)
	fmt.Println("entries:", memory.Usage().Entries)
	// Output:
	// fetches: 1 hits: 2
	// entries: 1
}

func ExampleCache_Do() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute})
	defer profiles.Close()

	r, err := profiles.Do(context.Background(), cache.Call[profile]{
		Key: "user_profile_123", Fetch: fetchProfile,
		Contention: cache.FreshOnly, Wait: 3 * time.Second,
	})
	fmt.Println(r.State, r.Value.Name, err)
	// Output: fetched Ada <nil>
}

func ExampleCache_Peek() {
	profiles := mustNew[profile](cache.Config{Fresh: time.Minute})
	defer profiles.Close()
	ctx := context.Background()

	_, ok := profiles.Peek(ctx, "123")
	fmt.Println(ok)
	_, _ = profiles.Get(ctx, "123", fetchProfile)
	r, ok := profiles.Peek(ctx, "123")
	fmt.Println(ok, r.State, r.Value.Name)
	// Output:
	// false
	// true fresh Ada
}
