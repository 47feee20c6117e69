package core

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// BenchmarkAcquireRelease and BenchmarkRaw take and free distinct keys with the
// same callers on the same number of servers; the ratio of the two is the
// figure, not either alone.
//
//	go test ./core -run '^$' -bench 'AcquireRelease|Raw' -count 6 | benchstat -col .name -
func BenchmarkAcquireRelease(b *testing.B) {
	eachLoad(b, func(b *testing.B, nodes *coretest.Nodes, callers int) {
		m, err := New(Config{Nodes: nodes.URLs()})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		prime(b, m)
		ctx := context.Background()
		drive(b, callers, func(key string) error {
			l, err := m.Acquire(ctx, key)
			if err != nil {
				return err
			}
			return l.Release(ctx)
		})
	})
}

// prime has the nodes make their fencing counters, which costs the first acquisition in
// each bucket a round trip more: a deployment has them after its first minutes.
func prime(b *testing.B, m *Manager) {
	b.Helper()
	for i, made := 0, map[int]bool{}; len(made) < buckets; i++ {
		key := "prime:" + strconv.Itoa(i)
		if bucket := m.namesOf(key).bucket; !made[bucket] {
			made[bucket] = true
			if err := hold(b, m, key).Release(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRaw is what one would write by hand with go-redis: SET NX PX and a
// scripted compare-and-delete, on several nodes a goroutine per node, returning
// with the majority.
func BenchmarkRaw(b *testing.B) {
	eachLoad(b, func(b *testing.B, nodes *coretest.Nodes, callers int) {
		var clients []*redis.Client
		for _, n := range nodes.All() {
			c := redis.NewClient(&redis.Options{Addr: n.Addr(), PoolSize: max(callers, 10)})
			defer c.Close() //nolint:errcheck // end of the benchmark
			clients = append(clients, c)
		}
		del := redis.NewScript(`if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0`)
		ctx := context.Background()
		drive(b, callers, func(key string) error {
			majority(clients, func(c *redis.Client) error {
				return c.SetArgs(ctx, key, "0123456789abcdef", redis.SetArgs{Mode: "NX", TTL: 30 * time.Second}).Err()
			})
			majority(clients, func(c *redis.Client) error {
				return del.Run(ctx, c, []string{key}, "0123456789abcdef").Err()
			})
			return nil
		})
	})
}

func majority(clients []*redis.Client, f func(*redis.Client) error) {
	if len(clients) == 1 {
		_ = f(clients[0])
		return
	}
	done := make(chan error, len(clients))
	for _, c := range clients {
		go func() { done <- f(c) }()
	}
	for range quorumOf(len(clients)) {
		<-done
	}
}

func eachLoad(b *testing.B, run func(*testing.B, *coretest.Nodes, int)) {
	for _, n := range []int{1, 5} {
		nodes := coretest.Redis(b, n)
		for _, callers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("nodes=%d/callers=%d", n, callers), func(b *testing.B) {
				run(b, nodes, callers)
			})
		}
	}
}

// drive runs b.N operations by that many callers at once.
func drive(b *testing.B, callers int, op func(key string) error) {
	b.ReportAllocs()
	var (
		next atomic.Int64
		wait sync.WaitGroup
	)
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := op("bench:" + strconv.FormatInt(i, 10)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}
