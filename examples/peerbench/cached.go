package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// loop is something done over and over in one goroutine.
type loop struct {
	name        string
	op          func()
	spent       time.Duration // of processor time in this round
	done        int           // operations in this round
	nanos       []float64     // of processor time per operation, by round
	allocations float64       // per operation, in the best slice
	garbage     uint64        // bytes made since the collector last ran for it

	runs     int                       // of a handler
	answered func() (int, http.Header) // the length of its last answer's body, and the fields
}

// check sees to it that all answer the same, and that only the bare ones by
// running their handler every time: a cache that does not hit is not compared.
func (l *loop) check() error {
	before := l.runs
	l.op()
	length, header := l.answered()
	bare := strings.HasPrefix(l.name, "bare")
	switch {
	case length != len(cachedBody) || header.Get("Content-Type") != plainText:
		return fmt.Errorf("%s: answered %d bytes of %q", l.name, length, header.Get("Content-Type"))
	case bare != (l.runs > before):
		return fmt.Errorf("%s: its handler ran %d times, of them once just now: %t", l.name, l.runs, l.runs > before)
	}
	return nil
}

// run does the operation for about d. It counts the time of processors, not that
// of the wall: what else the machine does is in nobody's figures. What the garbage
// collector takes is in the figures of who made the garbage: it runs when l has made as
// much as sets it off, and at no other time, see race. Where that was several times as
// much, one run counts several times.
func (l *loop) run(d time.Duration, setsOff uint64) {
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
	if l.allocations < 0 || allocations < l.allocations {
		l.allocations = allocations
	}
	if l.garbage += after.TotalAlloc - before.TotalAlloc; l.garbage >= setsOff {
		elapsed += collect() * time.Duration(l.garbage/setsOff)
		l.garbage %= setsOff
	}
	l.spent, l.done = l.spent+elapsed, l.done+n
}

// collect returns the processor time that a collection takes.
func collect() time.Duration {
	cpu := ownCPU()
	runtime.GC()
	return ownCPU() - cpu
}

// count ends a round.
func (l *loop) count() {
	l.nanos = append(l.nanos, float64(l.spent)/float64(l.done))
	l.spent, l.done = 0, 0
}

// race takes turns of a few milliseconds, because a machine seldom keeps its speed
// for long, and many of them to a round, because collections are fewer. The collector
// is not left to itself: what one loop has thrown away would be collected, as a rule,
// in the turn of the next.
func race(b bench, all []*loop) error {
	const turns = 10
	for _, l := range all {
		l.allocations = -1
		for range 1000 { // caches filled, pools grown
			l.op()
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	setsOff := garbageLimit()
	for range 2 * b.rounds {
		err := interleave(turns, len(all), func(i int) error {
			all[i].run(b.slice/turns, setsOff)
			return nil
		})
		if err != nil {
			return err
		}
		for _, l := range all {
			l.count()
		}
	}
	return nil
}

// garbageLimit is how much garbage sets the collector off by default: as much as is
// in use, and 4 MiB together at least.
func garbageLimit() uint64 {
	const least = 4 << 20
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return max(m.HeapAlloc, least-min(m.HeapAlloc, least))
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
	for _, l := range handlers {
		err = errors.Join(err, l.check())
	}
	if err != nil {
		return nil, err
	}
	return []section{handlerSection(handlers), valueSection(values)}, nil
}

// handlerGoals are the most that an adapter may take of another handler's time;
// bare is the handler that it stands before.
var handlerGoals = map[string]struct {
	bare  string
	times []timesGoal
}{
	"dlm nethttplock": {"bare net/http", []timesGoal{{"bare net/http", 2}, {"bare gin", 1}, {"gin-cache", 0.5}}},
	"dlm ginlock":     {"bare gin", []timesGoal{{"bare gin", 1}, {"gin-cache", 0.5}}},
	"dlm echolock":    {"bare echo", []timesGoal{{"gin-cache", 0.5}}},
}

type timesGoal struct {
	of    string
	limit float64
}

// mostAdded is what a hit may cost beyond the bare handler, in nanoseconds.
const mostAdded = 150

func handlerSection(all []*loop) section {
	s := section{
		title:   "A cached response of 2 KiB, in process",
		intro:   "Router and middleware without sockets, a response writer that goes nowhere. Processor time per request, garbage collection included. All answer the same body and type, and no cache runs its handler; dlm adds Age, Cache-Status, Content-Length, Date and ETag.",
		columns: []string{"handler", "÷ bare net/http", "÷ bare gin", "÷ bare echo", "÷ gin-cache", "allocations", "reach"},
	}
	for _, l := range all {
		cells := []string{l.name}
		for _, base := range []string{"bare net/http", "bare gin", "bare echo", "gin-cache"} {
			cells = append(cells, ratios(l.nanos, loopNamed(all, base).nanos).times())
		}
		s.row(append(cells, short(l.allocations), s.reach(l, all))...)
	}
	return s
}

// reach adds the goals of l and returns how its row shows them.
func (s *section) reach(l *loop, all []*loop) string {
	goals, ok := handlerGoals[l.name]
	if !ok {
		return ""
	}
	what := "cached hit, " + l.name
	var cell strings.Builder
	for _, g := range goals.times {
		r := ratios(l.nanos, loopNamed(all, g.of).nanos).median
		fmt.Fprintf(&cell, "%s %s ", g.of, s.atMost(what+" ÷ "+g.of, r, g.limit, " ×"))
	}
	bare := loopNamed(all, goals.bare)
	added := spreadOf(l.nanos).median - spreadOf(bare.nanos).median
	fmt.Fprintf(&cell, "added to %s %s ", goals.bare, s.atMost(what+": added to "+goals.bare, added, mostAdded, " ns"))
	more := max(l.allocations-bare.allocations, 0)
	fmt.Fprintf(&cell, "allocations more %s", s.atMost(what+": allocations more than "+goals.bare, more, 0.01, ""))
	return cell.String()
}

func valueSection(all []*loop) section {
	s := section{
		title:   "A cached value, in process",
		intro:   "One key, always there. Processor time per call. dlm and sturdyc hand out the value itself, go-redis/cache decodes a copy, and with rueidisaside its caller does.",
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
