package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The load of one side while somebody looks on: a few clients pay a few orders
// again and again, and a crowd asks for a quote that nobody has asked for before.
// Nobody sends a request before the last one was answered, so what is under way
// is bounded whatever fails.
const (
	orders       = 3
	payers       = 2 // of each order
	payPause     = 100 * time.Millisecond
	crowd        = 20
	crowdPause   = 500 * time.Millisecond
	quotesInTurn = 256 // by when the first one has expired
)

// load is what both sides are given alike.
type load struct {
	fleet    *fleet
	audience *audience
	sides    []*side
	next     atomic.Uint64 // process
}

// side is one half of the load: past dlm, or through it.
type side struct {
	prefix string // of its ids
	bare   string // before its paths
	meter  meter
}

func newLoad(f *fleet, a *audience) *load {
	l := &load{fleet: f, audience: a}
	for _, bare := range []string{"/bare", ""} {
		l.sides = append(l.sides, &side{prefix: fmt.Sprintf("%s-live%d-", stamp, len(l.sides)), bare: bare})
	}
	f.witness.watch(l.see)
	return l
}

// see gives what the witness saw to the side whose request it was.
func (l *load) see(s sighting) {
	for _, side := range l.sides {
		if id, ok := strings.CutPrefix(s.key, side.prefix); ok {
			side.meter.seen(s, strings.HasPrefix(id, "order"))
		}
	}
}

// run returns when ctx is over and nobody sends anything any more.
func (l *load) run(ctx context.Context) {
	var clients sync.WaitGroup
	for _, s := range l.sides {
		for i := range orders * payers {
			clients.Go(func() { l.pay(ctx, s, i%orders) })
		}
		clients.Go(func() { l.throng(ctx, s) })
	}
	clients.Wait()
}

func (l *load) pay(ctx context.Context, s *side, order int) {
	for l.audience.wait(ctx) {
		l.send(ctx, s, http.MethodPost, fmt.Sprint(s.bare, "/pay/", s.prefix, "order", order))
		pause(ctx, payPause)
	}
}

func (l *load) throng(ctx context.Context, s *side) {
	for n := 0; l.audience.wait(ctx); n++ {
		var all sync.WaitGroup
		for range crowd {
			all.Go(func() {
				l.send(ctx, s, http.MethodGet, fmt.Sprint(s.bare, "/quotes/", s.prefix, "quote", n%quotesInTurn))
			})
		}
		all.Wait()
		pause(ctx, crowdPause)
	}
}

// send asks one of the processes that are alive, as a load balancer would.
func (l *load) send(ctx context.Context, s *side, method, path string) {
	var alive []*process
	for _, p := range l.fleet.all() {
		if p.alive() {
			alive = append(alive, p)
		}
	}
	if len(alive) == 0 {
		return
	}
	r := l.fleet.request(ctx, method, alive[l.next.Add(1)%uint64(len(alive))].url+path)
	if ctx.Err() == nil {
		s.meter.answered(r)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
