package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/require"
)

// hit is a Cache that holds 2 KiB under "k" in memory.
func hit(b *testing.B) *cache.Cache[[]byte] {
	c := open[[]byte](b, cache.Config{Fresh: time.Hour})
	_, err := c.Get(b.Context(), "k", value(make([]byte, 2<<10)))
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	return c
}

func BenchmarkHit(b *testing.B) {
	c := hit(b)
	for b.Loop() {
		if _, ok := c.Hit("k"); !ok {
			b.Fatal("miss")
		}
	}
}

func BenchmarkGetHit(b *testing.B) {
	c := hit(b)
	ctx, fetch := context.Background(), value([]byte(nil))
	for b.Loop() {
		if v, err := c.Get(ctx, "k", fetch); err != nil || v == nil {
			b.Fatal("miss")
		}
	}
}

func BenchmarkGetHitParallel(b *testing.B) {
	c := hit(b)
	ctx, fetch := context.Background(), value([]byte(nil))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if v, err := c.Get(ctx, "k", fetch); err != nil || v == nil {
				b.Error("miss")
				return
			}
		}
	})
}

// BenchmarkRedisHit is a hit without a memory tier: one round trip, decoding.
func BenchmarkRedisHit(b *testing.B) {
	nodes := coretest.Redis(b, 1)
	c := open[[]byte](b, cache.Config{Fresh: time.Hour, Locks: manager(b, nodes.Clients()), Store: cache.NewRedis(nodes.Node(0).Client())})
	_, err := c.Get(b.Context(), "k", value(make([]byte, 2<<10)))
	require.NoError(b, err)
	fetch := value([]byte(nil))
	b.ReportAllocs()
	for b.Loop() {
		if v, err := c.Get(b.Context(), "k", fetch); err != nil || v == nil {
			b.Fatal("miss")
		}
	}
}

// BenchmarkMiss is the whole way: look, lock, look again, fetch, fill, release.
func BenchmarkMiss(b *testing.B) {
	nodes := coretest.Redis(b, 1)
	c := open[int](b, cache.Config{Fresh: time.Hour, Locks: manager(b, nodes.Clients()), Store: cache.NewRedis(nodes.Node(0).Client())})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Refresh(b.Context(), "k", value(1)); err != nil {
			b.Fatal(err)
		}
	}
}
