package main

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// grace is how long after its end a slice may go on: some libraries wait for
// ever after a lost wake-up.
const grace = 5 * time.Second

// sample is one slice of one contender.
type sample struct {
	cycles  int64 // acquisitions with their releases
	failed  int64
	elapsed time.Duration
	cost    cost
}

// perCycle is the wall time of the slice per acquisition and release.
func (s sample) perCycle() float64 {
	if s.cycles == 0 {
		return 0
	}
	return float64(s.elapsed) / float64(s.cycles)
}

func (s sample) share(of float64) float64 {
	if s.cycles == 0 {
		return 0
	}
	return of / float64(s.cycles)
}

// nextKey makes the keys distinct over the whole run.
var nextKey atomic.Int64

// drive has that many callers take and free distinct keys for d. What the slice before
// has thrown away is collected first, and not in this one's time.
func drive(nodes *coretest.Nodes, l locker, callers int, d time.Duration) (sample, error) {
	runtime.GC()
	start, err := readCost(nodes)
	if err != nil {
		return sample{}, err
	}
	s := cycle(l, callers, d)
	end, err := readCost(nodes)
	s.cost = end.since(start, nodes.Len())
	return s, err
}

// counted is how many commands a cycle sends to all nodes.
func counted(nodes *coretest.Nodes, l locker, callers int, d time.Duration) (float64, error) {
	time.Sleep(settling) // what the slice before has under way
	watch, err := startMonitors(nodes)
	if err != nil {
		return 0, err
	}
	s := cycle(l, callers, d)
	sent, err := watch.end(context.Background())
	return s.share(sent), err
}

func cycle(l locker, callers int, d time.Duration) sample {
	var (
		cycles, failed atomic.Int64
		wait           sync.WaitGroup
		start          = time.Now()
	)
	for range callers {
		wait.Go(func() {
			// As in a server: one context per request, none shared by all.
			ctx, cancel := context.WithTimeout(context.Background(), d+grace)
			defer cancel()
			for time.Since(start) < d {
				if once(ctx, l) == nil {
					cycles.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	wait.Wait()
	return sample{cycles: cycles.Load(), failed: failed.Load(), elapsed: time.Since(start)}
}

func once(ctx context.Context, l locker) error {
	h, err := l.acquire(ctx, "bench:"+strconv.FormatInt(nextKey.Add(1), 10))
	if err != nil {
		return err
	}
	return h.Release(ctx)
}
