// Package shop is the business behind the example servers: payments that go
// wrong when two run at once, and quotes that are dear to make.
package shop

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

const (
	bankTime   = 2 * time.Millisecond
	marketTime = 50 * time.Millisecond
)

// Shop stands for a database and two slow services. It is safe for concurrent
// use, which is not to say that Pay is right when used so.
type Shop struct {
	mu       sync.Mutex
	payments map[string]int // by order. Guarded by mu
	made     map[string]int // quotes, by symbol. Guarded by mu
}

// New returns an empty Shop.
func New() *Shop { return &Shop{payments: map[string]int{}, made: map[string]int{}} }

// Receipt is the answer to a payment.
type Receipt struct {
	Order    string `json:"order"`
	Payments int    `json:"payments"` // of the order, this one included
	Token    uint64 `json:"token"`    // fencing token of the lock it was made under
}

// Pay reads how often the order was paid, talks to the bank, and writes one
// more: of two payments at once, one is forgotten. Whoever calls it must hold
// the order's lock. The results are those of a handler.
func (s *Shop) Pay(ctx context.Context, order string) (status int, answer any) {
	s.mu.Lock()
	n := s.payments[order]
	s.mu.Unlock()
	if err := work(ctx, bankTime); err != nil {
		return failed(err)
	}
	s.mu.Lock()
	s.payments[order] = n + 1
	s.mu.Unlock()
	lock, _ := core.FromContext(ctx)
	return http.StatusOK, Receipt{Order: order, Payments: n + 1, Token: lock.FencingToken()}
}

// Quote is the price of a symbol.
type Quote struct {
	Symbol string `json:"symbol"`
	Made   int    `json:"made"` // how many quotes of the symbol were made so far
}

// Quote asks the market, which takes its time.
func (s *Shop) Quote(ctx context.Context, symbol string) (status int, answer any) {
	s.mu.Lock()
	s.made[symbol]++
	n := s.made[symbol]
	s.mu.Unlock()
	if err := work(ctx, marketTime); err != nil {
		return failed(err)
	}
	return http.StatusOK, Quote{Symbol: symbol, Made: n}
}

// Failure is the answer when the work was not finished.
type Failure struct {
	Error string `json:"error"`
}

func failed(err error) (status int, answer any) {
	return http.StatusServiceUnavailable, Failure{err.Error()}
}

// work passes the time, unless ctx ends: a request's does when its client goes
// away, and when its lock is lost.
func work(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reply returns a writer of what Pay and Quote return, for handlers of net/http.
func Reply(w http.ResponseWriter) func(status int, answer any) {
	return func(status int, answer any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the client may have gone
	}
}
