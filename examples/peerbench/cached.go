package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// loop is something done over and over in one goroutine.
type loop struct {
	name        string
	op          func()
	nanos       []float64 // of processor time per operation, by round
	allocations float64   // per operation, in the best round
}

// run does the operation for about d. It counts the time of processors, not that
// of the wall: what else the machine does is in nobody's figures, and the garbage
// collector's work on another core is in the figures of who made the garbage.
func (l *loop) run(d time.Duration) {
	const batch = 64
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start, n := ownCPU(), time.Now(), 0
	for ; time.Since(start) < d; n += batch {
		for range batch {
			l.op()
		}
	}
	elapsed := ownCPU() - cpu
	runtime.ReadMemStats(&after)
	allocations := float64(after.Mallocs-before.Mallocs) / float64(n)
	if len(l.nanos) == 0 || allocations < l.allocations {
		l.allocations = allocations
	}
	l.nanos = append(l.nanos, float64(elapsed)/float64(n))
}

func race(b bench, all []*loop) error {
	for _, l := range all { // caches filled, pools grown
		for range 1000 {
			l.op()
		}
	}
	return interleave(2*b.rounds, len(all), func(i int) error {
		all[i].run(b.slice / 2)
		return nil
	})
}

func loopNamed(all []*loop, name string) *loop {
	for _, l := range all {
		if l.name == name {
			return l
		}
	}
	return nil
}

// cachedHits measures what a hit costs in process.
func cachedHits(ctx context.Context, b bench) (found []section, err error) {
	nodes, err := coretest.Start(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	m, err := core.New(core.Config{Nodes: nodes.URLs(), Logger: quiet})
	if err != nil {
		return nil, err
	}
	defer m.Close() //nolint:errcheck // nothing is held
	handlers, closeHandlers, err := cachedHandlers(m)
	if err != nil {
		return nil, err
	}
	defer closeHandlers()
	values, closeValues, err := cachedValues(m, nodes)
	if err != nil {
		return nil, err
	}
	defer closeValues()
	if err := errors.Join(race(b, handlers), race(b, values)); err != nil {
		return nil, err
	}
	return []section{handlerSection(handlers), valueSection(values)}, nil
}

// handlerGoals are the most that an adapter may take of another handler's time.
var handlerGoals = map[string][]struct {
	of    string
	limit float64
}{
	"dlm nethttplock": {{"bare net/http", 2}, {"gin-cache", 0.5}},
	"dlm ginlock":     {{"bare gin", 1}, {"gin-cache", 0.5}},
}

func handlerSection(all []*loop) section {
	s := section{
		title:   "A cached response of 2 KiB, in process",
		intro:   "Router and middleware without sockets, a response writer that goes nowhere. Processor time per request, garbage collection included.",
		columns: []string{"handler", "÷ bare net/http", "÷ bare gin", "÷ gin-cache", "allocations", "reach"},
	}
	bases := []*loop{loopNamed(all, "bare net/http"), loopNamed(all, "bare gin"), loopNamed(all, "gin-cache")}
	for _, l := range all {
		cells := []string{l.name}
		for _, base := range bases {
			cells = append(cells, ratios(l.nanos, base.nanos).times())
		}
		reach := ""
		for _, g := range handlerGoals[l.name] {
			r := ratios(l.nanos, loopNamed(all, g.of).nanos).median
			reach += g.of + " " + s.atMost("cached hit, "+l.name+" ÷ "+g.of, r, g.limit, " ×") + " "
		}
		if l.name == "dlm nethttplock" {
			more := l.allocations - bases[0].allocations
			reach += "allocations more than bare " + s.atMost("cached hit, "+l.name+": allocations more than bare", max(more, 0), 0.01, "") +
				" added " + s.atMost("cached hit, "+l.name+": added to bare", spreadOf(l.nanos).median-spreadOf(bases[0].nanos).median, 150, " ns")
		}
		s.row(append(cells, short(l.allocations), reach)...)
	}
	return s
}

func valueSection(all []*loop) section {
	s := section{
		title:   "A cached value, in process",
		intro:   "One key, always there. Processor time per call. dlm and sturdyc hand out the value itself, go-redis/cache decodes a copy.",
		columns: []string{"cache", "÷ sturdyc", "allocations", "reach"},
	}
	base := loopNamed(all, "sturdyc")
	for i, l := range all {
		reach := ""
		if i < 2 {
			reach = s.atMost("value hit, "+l.name, spreadOf(l.nanos).median, 100, " ns") +
				", allocations " + s.atMost("value hit, "+l.name+": allocations", l.allocations, 0.01, "")
		}
		s.row(l.name, ratios(l.nanos, base.nanos).times(), short(l.allocations), reach)
	}
	return s
}
