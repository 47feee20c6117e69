package main

import (
	"context"
	"encoding/json"
	"time"

	rediscache "github.com/go-redis/cache/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"
	"github.com/viccon/sturdyc"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// quote is the value that is cached.
type quote struct {
	Symbol string
	Price  float64
	Body   []byte
}

func fetchQuote(context.Context) (quote, error) { return quote{"ACME", 12.5, cachedBody}, nil }

// cachedValues are hits in this process' memory, each with a shared Redis behind
// it where the library has such a thing.
func cachedValues(m *core.Manager, nodes *coretest.Nodes) ([]*loop, func(), error) {
	client := nodes.Node(0).Client()
	alone, err := cache.New[quote](cache.Config{Namespace: "alone", Fresh: cachedFor, Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	shared, err := cache.New[quote](cache.Config{
		Namespace: "shared", Fresh: cachedFor, Locks: m, Logger: quiet,
		Store: cache.NewTiered(cache.NewMemory(64<<20), cache.NewRedis(client)),
	})
	if err != nil {
		return nil, nil, err
	}
	aside, err := openAside(nodes.Node(0).URL())
	if err != nil {
		return nil, nil, err
	}
	sturdy := sturdyc.New[quote](10_000, 64, cachedFor, 10)
	goRedis := rediscache.New(&rediscache.Options{Redis: client, LocalCache: rediscache.NewTinyLFU(10_000, cachedFor)})
	ctx := context.Background()
	get := func(c *cache.Cache[quote]) func() {
		return func() { _, _ = c.Get(ctx, "ACME", fetchQuote) }
	}
	return []*loop{
			{name: "dlm core/cache, memory", op: get(alone)},
			{name: "dlm core/cache, memory over Redis", op: get(shared)},
			{name: "sturdyc", op: func() { _, _ = sturdy.GetOrFetch(ctx, "ACME", fetchQuote) }},
			{name: "rueidisaside", op: func() { _, _ = onceAside(ctx, aside, "ACME", fetchQuote) }},
			{name: "go-redis/cache with TinyLFU", op: func() { _ = onceQuote(ctx, goRedis) }},
		}, func() {
			aside.Close()
			_ = alone.Close()
			_ = shared.Close()
		}, nil
}

// onceQuote decodes a fresh copy each time: go-redis/cache keeps bytes.
func onceQuote(ctx context.Context, c *rediscache.Cache) error {
	var q quote
	return c.Once(&rediscache.Item{
		Ctx: ctx, Key: "ACME", Value: &q, TTL: time.Hour,
		Do: func(*rediscache.Item) (any, error) { return fetchQuote(ctx) },
	})
}

// openAside is a client with client-side caching, which holds replies in memory.
func openAside(url string) (rueidisaside.CacheAsideClient, error) {
	opt, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return rueidisaside.NewClient(rueidisaside.ClientOption{ClientOption: opt})
}

// onceAside leaves the decoding, which rueidisaside does not do, to its caller.
func onceAside(ctx context.Context, c rueidisaside.CacheAsideClient, key string, fetch func(context.Context) (quote, error)) (q quote, err error) {
	text, err := c.Get(ctx, cachedFor, "aside:"+key, func(ctx context.Context, _ string) (string, error) {
		made, err := fetch(ctx)
		if err != nil {
			return "", err
		}
		text, err := json.Marshal(made)
		return string(text), err
	})
	if err != nil {
		return q, err
	}
	return q, json.Unmarshal([]byte(text), &q)
}
