package wire

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

// BenchmarkTransport sends the commands of an uncontended lock on one node, SET
// with ZADD and a compare-and-delete behind them, through a Stream and through
// what go-redis has for many callers on one connection, its AutoPipeline, and for
// one, its pooled connections. See doc.go for what came of it.
//
//	go test ./core/internal/wire -run '^$' -bench Transport -count 6 | benchstat -col /way -
func BenchmarkTransport(b *testing.B) {
	nodes := coretest.Redis(b, 1)
	for _, callers := range []int{1, 16, 64, 256} {
		for _, way := range []struct {
			name string
			open func(testing.TB, *redis.Options) lockWay
		}{{"stream", openStream}, {"autopipeline", openAutoPipeline}, {"fullduplex", openFullDuplex}, {"pool", openPool}} {
			b.Run(fmt.Sprintf("callers=%d/way=%s", callers, way.name), func(b *testing.B) {
				opt, err := redis.ParseURL(nodes.Node(0).URL())
				if err != nil {
					b.Fatal(err)
				}
				opt.MaxRetries = -1
				w := way.open(b, opt)
				nodes.Node(0).Client().ZAdd(b.Context(), "fence", redis.Z{Score: 1, Member: "t"})
				driveWay(b, callers, w)
			})
		}
	}
}

// lockWay takes and frees a lock.
type lockWay func(key string, token uint64) error

const wayOwner = "0123456789abcdef"

var deleteOwn = NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

var nextToken atomic.Uint64

func driveWay(b *testing.B, callers int, way lockWay) {
	b.ReportAllocs()
	var (
		next atomic.Int64
		wait sync.WaitGroup
	)
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for next.Add(1) <= int64(b.N) {
				token := nextToken.Add(1)
				if err := way("bench:"+strconv.FormatUint(token, 10), token); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// oneReply hands a reply to a waiting caller.
type oneReply chan Reply

// Receive implements Receiver.
func (c oneReply) Receive(_ int, r Reply) { c <- r }

func openStream(b testing.TB, opt *redis.Options) lockWay {
	up := make(chan struct{}, 1)
	s := NewStream(Options{
		Dial: Dialer(opt, time.Second),
		Greet: func(_ context.Context, c *Session) error {
			return c.Load(deleteOwn)
		},
		Up: func() { up <- struct{}{} }, Down: func(error) {},
		Timeout: time.Second, DialTimeout: time.Second, Sole: true,
	})
	s.Start()
	b.Cleanup(func() { s.Close(time.Second) })
	<-up
	ask := func(req *Request, tail Tail) Reply {
		c := make(oneReply, 1)
		s.Send(time.Now(), Call{Req: req, Tail: tail, To: c, Wait: true})
		return <-c
	}
	return func(key string, token uint64) error {
		if r := ask(newClaim(key, []byte(wayOwner), time.Minute, "fence", token), Tail{Arg: "t"}); r.Err != nil {
			return r.Err
		}
		return ask(NewRequest(deleteOwn, 1, key, wayOwner), Tail{}).Err
	}
}

// openAutoPipeline queues SET and ZADD without waiting in between, as a Stream
// does with a Claim.
func openAutoPipeline(b testing.TB, opt *redis.Options) lockWay {
	return autoPipelined(b, opt, redis.DefaultAutoPipelineOptions())
}

func openFullDuplex(b testing.TB, opt *redis.Options) lockWay {
	set := redis.DefaultAutoPipelineOptions()
	set.FullDuplex = true
	return autoPipelined(b, opt, set)
}

func autoPipelined(b testing.TB, opt *redis.Options, set *redis.AutoPipelineOptions) lockWay {
	c := redis.NewClient(opt)
	b.Cleanup(func() { _ = c.Close() })
	c.ScriptLoad(b.Context(), deleteOwn.source)
	auto, err := c.AsyncAutoPipelineWithOptions(set)
	if err != nil {
		b.Fatal(err)
	}
	return func(key string, token uint64) error {
		ctx := context.Background()
		lock, fence := auto.Do(ctx, "SET", key, wayOwner, "NX", "PX", 60000), auto.Do(ctx, zadd(token)...)
		return firstError(lock.Err(), fence.Err(), auto.Do(ctx, "EVALSHA", deleteOwn.sha, 1, key, wayOwner).Err())
	}
}

func openPool(b testing.TB, opt *redis.Options) lockWay {
	c := redis.NewClient(opt)
	b.Cleanup(func() { _ = c.Close() })
	c.ScriptLoad(b.Context(), deleteOwn.source)
	return func(key string, token uint64) error {
		_, err := c.Pipelined(context.Background(), func(p redis.Pipeliner) error {
			p.Do(context.Background(), "SET", key, wayOwner, "NX", "PX", 60000)
			p.Do(context.Background(), zadd(token)...)
			return nil
		})
		return firstError(err, c.Do(context.Background(), "EVALSHA", deleteOwn.sha, 1, key, wayOwner).Err())
	}
}

func zadd(token uint64) []any { return []any{"ZADD", "fence", "XX", "GT", "CH", token, "t"} }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
