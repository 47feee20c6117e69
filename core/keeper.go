package core

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// keeper is the one goroutine that renews, tops up and ends all leases of a
// Manager. It sleeps until the first lease is due, and then takes along all
// that are due soon, so that renewals gather into few commands.
type keeper struct {
	m    *Manager
	wake signal

	mu     sync.Mutex
	leases leaseHeap // guarded by mu
	asleep time.Time // until when it sleeps; zero while awake. Guarded by mu
}

func newKeeper(m *Manager) *keeper { return &keeper{m: m, wake: make(signal, 1)} }

// watch schedules the lease, or schedules it anew, as of now.
func (k *keeper) watch(l *lease, now time.Time) {
	k.mu.Lock()
	due, alive := l.nextDue(now) // under mu: of two calls, the later one knows more
	if !alive {
		k.mu.Unlock()
		return
	}
	l.due = due
	if l.slot > 0 {
		heap.Fix(&k.leases, l.slot-1)
	} else {
		heap.Push(&k.leases, l)
	}
	early := k.asleep.IsZero() || due.Before(k.asleep)
	k.mu.Unlock()
	if early {
		k.wake.raise()
	}
}

func (k *keeper) forget(l *lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.slot > 0 {
		heap.Remove(&k.leases, l.slot-1)
	}
}

// run ends with ctx.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		due, next := k.take(now)
		k.serve(now, due)
		if len(due) > 0 {
			continue // what was served is scheduled anew
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
	}
}

// take removes the leases that are due or will be soon, and says how long to
// sleep when there are none.
func (k *keeper) take(now time.Time) (due []*lease, next time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asleep = time.Time{}
	if len(k.leases) == 0 {
		k.asleep = now.Add(time.Hour)
		return nil, time.Hour
	}
	if wait := k.leases[0].due.Sub(now); wait > 0 {
		k.asleep = k.leases[0].due
		return nil, wait
	}
	for len(k.leases) > 0 && k.leases[0].soon(now) {
		l, _ := heap.Pop(&k.leases).(*lease)
		due = append(due, l)
	}
	return due, 0
}

// soon is generous with long leases. It looks at the schedule only; whether a
// lease is renewed or lost is decided when it is served.
func (l *lease) soon(now time.Time) bool { return l.due.Sub(now) <= l.ttl/8 }

// serve renews, tops up or ends each lease, and schedules it anew.
func (k *keeper) serve(now time.Time, due []*lease) {
	var renew []*lease
	for _, l := range due {
		switch l.need(now) {
		case needsEnd:
			l.lose()
			continue
		case needsRenewal:
			renew = append(renew, l)
		case needsNodes:
			k.m.topUpAll(now, l)
		}
	}
	k.m.renewAll(now, renew)
	for _, l := range due {
		k.reschedule(now, l)
	}
}

// reschedule puts a served lease back. Until its renewal is confirmed, which
// moves it on, it is due for another attempt: when nodes that are slow have had a while
// to answer, or soon where there is nothing to wait for.
func (k *keeper) reschedule(now time.Time, l *lease) {
	l.mu.Lock()
	alive := !l.over
	retry := l.soonest()
	if !l.failed {
		retry = max(retry, k.m.cfg.NodeTimeout/2)
	}
	retry = min(retry, max(l.until.Sub(now), 0))
	l.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if alive && l.slot == 0 {
		l.due = now.Add(retry)
		heap.Push(&k.leases, l)
	}
}

// soonest is how soon a lease is due again after a renewal that was not confirmed. mu is held.
func (l *lease) soonest() time.Duration { return max(l.renewal/8, time.Millisecond) }

// hasten has a lease tried again soon: too few nodes have confirmed its renewal, and
// no more answers are to come.
func (k *keeper) hasten(l *lease, now time.Time) {
	l.mu.Lock()
	l.failed = true
	due, auto := now.Add(l.soonest()), l.auto
	l.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !auto || l.slot == 0 || !due.Before(l.due) {
		return // reschedule comes yet, or nothing is to be tried
	}
	l.due = due
	heap.Fix(&k.leases, l.slot-1)
	if due.Before(k.asleep) {
		k.wake.raise()
	}
}

// needs of a lease that is due.
type need uint8

const (
	needsNothing need = iota
	needsRenewal
	needsNodes
	needsEnd
)

func (l *lease) need(now time.Time) need {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return needsNothing
	case !now.Before(l.until):
		return needsEnd
	case l.auto && now.Before(l.stop):
		return needsRenewal
	case l.missing():
		return needsNodes
	}
	return needsNothing
}

// missing reports whether a node does not hold the lease. mu is held.
func (l *lease) missing() bool {
	return !l.holds.full(len(l.m.nodes))
}

// nextDue is when the lease needs the keeper: with a third of its TTL gone for
// renewal, soon for a topping up, at its end otherwise.
func (l *lease) nextDue(now time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.until
	switch {
	case l.over:
		return due, false
	case l.auto && now.Before(l.stop):
		due = l.expires.Add(-l.renewal * 2 / 3)
	case l.missing():
		due = now.Add(min(l.ttl/8, topUpDelay))
	}
	return earlier(due, l.until), true
}

// leaseHeap is ordered by due and kept by container/heap under the keeper's mu.
type leaseHeap []*lease

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i+1, j+1
}

// Push implements heap.Interface.
func (h *leaseHeap) Push(x any) {
	l, _ := x.(*lease)
	*h = append(*h, l)
	l.slot = len(*h)
}

// Pop implements heap.Interface.
func (h *leaseHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.slot = 0
	return l
}
