package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// renewedTTL is the lease of the locks that are held and renewed, which is also
// rueidislock's default.
const renewedTTL = 5 * time.Second

// holder is a library with many locks in its hands.
type holder struct {
	contender
	n          int // nodes
	nodes      *coretest.Nodes
	locker     locker
	goroutines float64 // per lock
	sent       float64 // commands
	over       time.Duration
}

// renewedLocks holds many locks and counts what keeping them takes. The
// libraries hold theirs at the same time, each on nodes of its own.
func renewedLocks(ctx context.Context, b bench) (found []section, err error) {
	dlm := dlmContender()
	dlm.open = func(s setup) (locker, error) { return openDLM(s, core.WithAutoRenew(), core.WithTTL(renewedTTL)) }
	holders := []*holder{
		{contender: dlm, n: 1}, {contender: dlm, n: 5},
		{contender: rueidislockContender(), n: 1}, {contender: rueidislockTuned(), n: 1},
	}
	defer func() {
		for _, h := range holders {
			err = errors.Join(err, h.close())
		}
	}()
	for _, h := range holders {
		if err := h.take(ctx, b.many); err != nil {
			return nil, fmt.Errorf("%s: %w", h.name, err)
		}
	}
	if err := keep(ctx, holders, b.held); err != nil {
		return nil, err
	}
	return []section{renewedSection(holders, b)}, nil
}

// take acquires the locks. rueidislock's release is a function of the lock's
// context; the locks end with the locker.
func (h *holder) take(ctx context.Context, many int) (err error) {
	if h.nodes, err = coretest.Start(ctx, h.n); err != nil {
		return err
	}
	if h.locker, err = h.open(setupFor(h.nodes, 16)); err != nil {
		return err
	}
	if err := warm(h.locker, 1); err != nil {
		return err
	}
	before := lastingGoroutines()
	if err := h.takeAll(ctx, many); err != nil {
		return err
	}
	h.goroutines = float64(lastingGoroutines()-before) / float64(many)
	return nil
}

// lastingGoroutines are not those that are about to end, nor what watchGoroutines warns of.
func lastingGoroutines() int {
	runtime.GC()
	least := runtime.NumGoroutine()
	for range 10 {
		time.Sleep(2 * time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

func (h *holder) takeAll(ctx context.Context, many int) error {
	const callers = 16
	errs := make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			for k := i; k < many && errs[i] == nil; k += callers {
				_, errs[i] = h.locker.acquire(ctx, "held:"+strconv.Itoa(k))
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// keep counts the commands while all hold theirs.
func keep(ctx context.Context, holders []*holder, d time.Duration) error {
	begin := time.Now()
	errs := make([]error, 2*len(holders))
	watches := make([]monitors, len(holders))
	for i, h := range holders {
		watches[i], errs[i] = startMonitors(h.nodes)
	}
	time.Sleep(d)
	for i, h := range holders {
		h.over = time.Since(begin)
		h.sent, errs[len(holders)+i] = watches[i].end(ctx)
	}
	return errors.Join(errs...)
}

// rate is commands per second and node.
func (h *holder) rate() float64 {
	return h.sent / h.over.Seconds() / float64(h.n)
}

func (h *holder) close() error {
	if h.locker != nil {
		h.locker.close()
	}
	if h.nodes == nil {
		return nil
	}
	return h.nodes.Close()
}

func renewedSection(holders []*holder, b bench) section {
	s := section{
		title:   fmt.Sprintf("%d locks held and renewed", b.many),
		intro:   fmt.Sprintf("TTL %v, for %v, once. redsync and redislock leave renewal to their users.", renewedTTL, b.held),
		columns: []string{"nodes", "library", "commands/s and node", "÷ dlm", "goroutines per lock", "reach"},
	}
	base := map[int]float64{}
	for _, h := range holders {
		reach := ""
		if h.name == dlmName {
			base[0] = max(base[0], h.rate())
			name := fmt.Sprintf("%d locks renewed, %s: ", b.many, plural(h.n, "node"))
			reach = "commands " + s.atMost(name+"commands/s and node", h.rate(), 10, "") +
				", goroutines " + s.atMost(name+"goroutines per lock", h.goroutines, 0.01, "")
		}
		s.row(strconv.Itoa(h.n), h.name, short(h.rate()), short(h.rate()/base[0])+" ×", short(h.goroutines), reach)
	}
	return s
}
