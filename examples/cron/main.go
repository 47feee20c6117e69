// Command cron makes a report at every full minute, once in the whole fleet
// however many processes run it: a tick is a key, and the report its value.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
)

// remembered is how long a tick counts as done: longer than the clocks of two
// processes are apart. A lock alone would not do: one whose clock is late would
// find it free again.
const remembered = time.Hour

func main() {
	every := flag.Duration("every", time.Minute, "time between two reports")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *every, makeReport); err != nil {
		log.Fatal(err)
	}
}

// report is what every process may know of one that was made.
type report struct{ By string }

func makeReport(_ context.Context, tick time.Time) (report, error) {
	by := fmt.Sprintf("process %d", os.Getpid())
	fmt.Printf("made %s by %s\n", tick.Format(time.RFC3339Nano), by)
	return report{by}, nil
}

// run has one process in the fleet do the job at each tick, until ctx ends. A
// job under way then is finished.
func run(ctx context.Context, every time.Duration, job func(context.Context, time.Time) (report, error)) error {
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()
	locks, err := core.New(core.Config{Nodes: nodes})
	if err != nil {
		return err
	}
	defer locks.Close()
	options, err := redis.ParseURL(nodes[0])
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	// Failing closed: a tick is rather missed than done by every process.
	ticks, err := cache.New[report](cache.Config{
		Namespace: "cron", Locks: locks, Store: cache.NewRedis(client), Fresh: remembered, Wait: time.Minute,
		OnLockFailure: cache.FailClosed, OnStoreFailure: cache.FailClosed,
	})
	if err != nil {
		return err
	}
	defer ticks.Close()
	once := cache.Memoize(ticks, func(tick time.Time) (string, error) { return "report_" + tick.Format(time.RFC3339Nano), nil }, job)

	for tick := range nextTicks(ctx, every) {
		// A job that fails is tried by the processes that wait for it.
		done, err := once(context.WithoutCancel(ctx), tick)
		switch {
		case errors.Is(err, core.ErrNotAcquired):
			log.Printf("%v: another process still works on it", tick)
		case err != nil:
			log.Printf("%v: %v", tick, err)
		default:
			fmt.Printf("known %s by %s\n", tick.Format(time.RFC3339Nano), done.By)
		}
	}
	return nil
}

// nextTicks are the multiples of every to come, each when it is due. One that
// is over when the job before it ends is left out.
func nextTicks(ctx context.Context, every time.Duration) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for {
			tick := time.Now().UTC().Truncate(every).Add(every)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(tick)):
			}
			if !yield(tick) {
				return
			}
		}
	}
}
