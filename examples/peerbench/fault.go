package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

const (
	faultNodes   = 5
	faultCallers = 8
	// dlmNodeTimeout is dlm's default with the lease that is measured here.
	dlmNodeTimeout = time.Second
	// orphanPatience is how long after the fault is over a key may be found that
	// nobody holds any more.
	orphanPatience = 2 * time.Second
)

// fault is what befalls one of five nodes, and how it ends.
type fault struct {
	name       string
	begin, end func(*coretest.Node) error
}

var faults = []fault{
	{"frozen", (*coretest.Node).Freeze, (*coretest.Node).Thaw},
	{"killed", (*coretest.Node).Kill, func(*coretest.Node) error { return nil }},
}

// faultSample compares the time after the fault with the time before it.
type faultSample struct {
	healthy, faulty latencies
	goroutines      float64 // more than before the fault, at most
	orphans         float64 // keys left on the nodes that nobody holds
}

func (f faultSample) p50() float64   { return f.faulty.at(0.50) / f.healthy.at(0.50) }
func (f faultSample) p99() float64   { return f.faulty.at(0.99) / f.healthy.at(0.99) }
func (f faultSample) worst() float64 { return f.faulty.at(1) / float64(time.Millisecond) }
func (f faultSample) rate() float64 {
	return float64(len(f.faulty.all)) / f.faulty.over / (float64(len(f.healthy.all)) / f.healthy.over)
}
func (f faultSample) growth() float64 { return f.goroutines }
func (f faultSample) left() float64   { return f.orphans }

type faultSeries struct {
	contender
	samples []faultSample
}

func (s *faultSeries) spread(of func(faultSample) float64) spread {
	values := make([]float64, len(s.samples))
	for i, v := range s.samples {
		values[i] = of(v)
	}
	return spreadOf(values)
}

// faultyNode has one of five nodes fail under load.
func faultyNode(ctx context.Context, b bench) ([]section, error) {
	s := section{
		title: "One of five nodes frozen or killed",
		intro: fmt.Sprintf("%d callers on distinct keys, before and during the fault; ratios are of each library to itself. ", faultCallers) +
			fmt.Sprintf("A call that outlasts the fault (%v) counts as long as that took, so the figures of whoever waits for a frozen node are lower bounds. ", b.fault) +
			fmt.Sprintf("Orphans are locks found on any node %v after the fault is over and every lock released.", orphanPatience),
		columns: []string{"one of five", "library", "p50 ÷ healthy", "p99 ÷ healthy", "worst ms", "acquisitions ÷ healthy", "goroutines more", "orphans", "reach"},
	}
	for _, f := range faults {
		var all []*faultSeries
		for _, c := range fit(contenders(), faultNodes) {
			all = append(all, &faultSeries{contender: c})
		}
		err := interleave(min(b.rounds, 2), len(all), func(i int) error {
			v, err := suffer(ctx, all[i].contender, f, b.fault)
			all[i].samples = append(all[i].samples, v)
			return err
		})
		if err != nil {
			return nil, err
		}
		s.faultRows(all, f)
	}
	return []section{s}, nil
}

func (s *section) faultRows(all []*faultSeries, f fault) {
	for _, c := range all {
		p50, p99, worst := c.spread(faultSample.p50), c.spread(faultSample.p99), c.spread(faultSample.worst)
		growth, left := c.spread(faultSample.growth), c.spread(faultSample.left)
		reach := ""
		if c.name == dlmName {
			name := "one of five " + f.name + ": "
			limit := float64((dlmNodeTimeout + 10*time.Millisecond) / time.Millisecond)
			reach = "p50 " + s.atMost(name+"p50 ÷ healthy", p50.median, 1.2, " ×") +
				", p99 " + s.atMost(name+"p99 ÷ healthy", p99.median, 1.5, " ×") +
				", worst " + s.atMost(name+"worst", worst.max, limit, " ms") +
				", goroutines " + s.atMost(name+"goroutines more", growth.max, 32, "") +
				", orphans " + s.atMost(name+"orphans", left.max, 0, "")
		}
		s.row(f.name, c.name, p50.times(), p99.times(), worst.plain(), c.spread(faultSample.rate).times(),
			growth.plain(), left.plain(), reach)
		s.bars = append(s.bars, bar{group: "p99 with one of five " + f.name, name: c.name, value: p99.median, low: p99.min, high: p99.max})
	}
}

// suffer is one slice: nodes of its own, so that what one library leaves behind
// is not the next one's.
func suffer(ctx context.Context, c contender, f fault, d time.Duration) (v faultSample, err error) {
	nodes, err := coretest.Start(ctx, faultNodes)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	if c.name == dlmName {
		if err = prime(nodes); err != nil {
			return v, err
		}
	}
	l, err := c.open(setupFor(nodes, faultCallers))
	if err != nil {
		return v, fmt.Errorf("open %s: %w", c.name, err)
	}
	defer l.close()
	cycle(l, faultCallers, warmUp)

	before := watchGoroutines()
	v.healthy = timed(l, d/2, nil)
	most := before.end()

	if err = f.begin(nodes.Node(0)); err != nil {
		return v, err
	}
	during := watchGoroutines()
	var ended error
	v.faulty = timed(l, d, func() { // what hangs goes on when the fault ends
		v.goroutines = max(float64(during.end()-most), 0)
		ended = f.end(nodes.Node(0))
	})
	v.orphans, err = orphans(ctx, nodes)
	return v, errors.Join(err, ended)
}

// timed has the callers take and free distinct keys for d, then calls atEnd,
// then waits for what is still under way.
func timed(l locker, d time.Duration, atEnd func()) latencies {
	var (
		all   latencies
		mu    sync.Mutex // guards all
		wait  sync.WaitGroup
		start = time.Now()
	)
	for range faultCallers {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), d+grace)
			defer cancel()
			var own []float64
			for time.Since(start) < d {
				began := time.Now()
				if once(ctx, l) == nil || time.Since(start) >= d {
					own = append(own, float64(time.Since(began)))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.all = append(all.all, own...)
		})
	}
	time.Sleep(time.Until(start.Add(d)))
	if atEnd != nil {
		atEnd()
	}
	wait.Wait()
	all.over = d.Seconds()
	all.sort()
	return all
}

// goroutineWatch looks how many there are, again and again.
type goroutineWatch struct {
	stop chan struct{}
	most chan int
}

// While the garbage collector frees the stacks of goroutines that have ended, of
// which other libraries leave many thousands, [runtime.NumGoroutine] counts them
// among the living. It is to do that before.
func watchGoroutines() goroutineWatch {
	runtime.GC()
	w := goroutineWatch{make(chan struct{}), make(chan int)}
	go func() {
		most := 0
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, runtime.NumGoroutine())
			select {
			case <-tick.C:
			case <-w.stop:
				w.most <- most
				return
			}
		}
	}()
	return w
}

func (w goroutineWatch) end() int {
	close(w.stop)
	return <-w.most
}

// orphans counts the locks that nobody holds. Every library has the key in its name.
func orphans(ctx context.Context, nodes *coretest.Nodes) (float64, error) {
	deadline := time.Now().Add(orphanPatience)
	for {
		left := 0
		for _, n := range nodes.All() {
			if !n.Alive() {
				continue
			}
			keys, err := n.Keys("")
			if err != nil {
				return 0, err
			}
			for _, k := range keys {
				if strings.Contains(k, "bench:") {
					left++
				}
			}
		}
		if left == 0 || time.Now().After(deadline) {
			return float64(left), ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
	}
}
