package main

import (
	"slices"
	"sync"
	"time"
)

// minute is how many seconds the charts go back.
const minute = 60

// meter counts what becomes of one side of the load, second by second.
type meter struct {
	mu   sync.Mutex
	took []time.Duration // to the answers of this second; at most maxTook. Guarded by mu
	runs int             // for quotes, begun in this second. Guarded by mu
	sum  figures         // guarded by mu
}

const maxTook = 1000

// figures are what a meter has counted. Times are in milliseconds, of the seconds
// that are over, the last one at the end.
type figures struct {
	Runs []int     `json:"runs"` // of handlers, for quotes
	P50  []float64 `json:"p50"`
	P99  []float64 `json:"p99"`

	Requests   int `json:"requests"`
	Answered   int `json:"answered"`   // with 200
	Refused    int `json:"refused"`    // 503 with Retry-After
	Unanswered int `json:"unanswered"` // the connection broke, or an error was the answer
	Stored     int `json:"stored"`     // answered without a handler: from the cache, or with another one's response

	Quotes   int `json:"quotes"` // made by a handler
	Payments int `json:"payments"`
	Overlaps int `json:"overlaps"` // payments of an order begun beside another one of the same order
	Lost     int `json:"lost"`     // payments overwritten by another one
}

// answered counts a reply.
func (m *meter) answered(r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.sum
	s.Requests++
	switch {
	case served(r):
		s.Answered++
		if r.cached != ran {
			s.Stored++
		}
	case refused(r):
		s.Refused++
	default:
		s.Unanswered++
	}
	if served(r) && len(m.took) < maxTook {
		m.took = append(m.took, r.took)
	}
}

// seen counts what the witness saw, of a payment or of a quote.
func (m *meter) seen(s sighting, payment bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !payment {
		m.runs += number(s.began)
		m.sum.Quotes += number(s.began)
		return
	}
	m.sum.Payments += number(s.began)
	m.sum.Overlaps += number(s.overlaps)
	m.sum.Lost += number(s.overwrote)
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}

// turn ends a second.
func (m *meter) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.sum
	slices.Sort(m.took)
	s.Runs = lastMinute(append(s.Runs, m.runs))
	s.P50 = lastMinute(append(s.P50, quantileOf(m.took, 50)))
	s.P99 = lastMinute(append(s.P99, quantileOf(m.took, 99)))
	m.runs, m.took = 0, m.took[:0]
}

func lastMinute[T any](s []T) []T { return s[max(0, len(s)-minute):] }

// quantileOf sorted times, in milliseconds; 0 of none.
func quantileOf(sorted []time.Duration, q int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*q/100]) / float64(time.Millisecond)
}

func (m *meter) read() figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sum
	s.Runs, s.P50, s.P99 = slices.Clone(s.Runs), slices.Clone(s.P50), slices.Clone(s.P99)
	return s
}
