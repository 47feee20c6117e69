package core

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/tentative"
)

// Option changes one call's settings from the Manager's. Nil changes nothing.
type Option func(*settings)

// settings are what one acquisition runs with. They are checked as a whole
// before any command is sent.
type settings struct {
	ttl        time.Duration
	wait       time.Duration
	retryDelay time.Duration
	maxRetries int
	maxHold    time.Duration
	maxHoldSet bool
	maxOutage  time.Duration // unlimited: as long as wait
	autoRenew  bool
	metadata   string
	tentative  bool // whoever finds the lock taken can do without
}

func init() { tentative.Option = Option(func(s *settings) { s.tentative = true }) }

// WithTTL sets the lease: how long the lock outlives a holder that vanishes.
// At least 1 ms. A node that restarts is left out for the longest TTL ever used, so
// rather renew a lock than give it a long one.
func WithTTL(d time.Duration) Option { return func(s *settings) { s.ttl = d } }

// WithWait sets how long Acquire and Do wait for the holder. 0 means one round.
func WithWait(d time.Duration) Option { return func(s *settings) { s.wait = d } }

// WithAutoRenew keeps the lease alive until Release, MaxHold or loss. Do always renews.
func WithAutoRenew() Option { return func(s *settings) { s.autoRenew = true } }

// WithMaxHold ends the renewal d after the acquisition; the lock is then lost
// when its lease runs out. Default 10 × TTL.
func WithMaxHold(d time.Duration) Option {
	return func(s *settings) { s.maxHold, s.maxHoldSet = d, true }
}

// WithRetry sets the longest pause before a waiter asks again, which is jittered and
// ends when a release wakes the waiter, and how often it asks again after such a
// pause; 0 means until the wait is over. Waiters behind others of their process do not ask.
func WithRetry(delay time.Duration, maxRetries int) Option {
	return func(s *settings) { s.retryDelay, s.maxRetries = delay, maxRetries }
}

// WithMaxOutage sets how long Acquire and Do go on asking while too few nodes answer
// and none of them knows of a holder; the round that ends after that is the last, and
// its error ErrNoQuorum. 0 means the first such round, which NodeTimeout bounds. A lock
// that somebody holds is waited for as ever. Default: as long as the wait.
func WithMaxOutage(d time.Duration) Option { return func(s *settings) { s.maxOutage = d } }

// unlimited is longer than any wait.
const unlimited = time.Duration(math.MaxInt64)

// maxMetadata bounds what one lock can store on every node.
const maxMetadata = 4096

// WithMetadata stores a note beside the lock, shown by Inspect. At most 4096 bytes.
func WithMetadata(note string) Option { return func(s *settings) { s.metadata = note } }

// maxTTL keeps every sum of a TTL and a wall-clock time within Redis' and Lua's
// exact integers.
const maxTTL = 100 * 365 * 24 * time.Hour

func (s *settings) validate(driftFactor float64) error {
	if mistakes := s.mistakes(driftFactor); len(mistakes) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(mistakes...))
	}
	return nil
}

// mistakes are all of them: setting, value and remedy. Without any it allocates
// nothing, as every acquisition asks.
func (s *settings) mistakes(driftFactor float64) (all []error) {
	refuse := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	switch {
	case s.ttl < time.Millisecond:
		refuse("TTL %v: must be at least 1ms", s.ttl)
	case s.ttl > maxTTL:
		refuse("TTL %v: must be at most %v", s.ttl, maxTTL)
	case s.ttl <= driftOf(s.ttl, driftFactor):
		refuse("TTL %v: must be longer than the clock drift allowance of %v", s.ttl, driftOf(s.ttl, driftFactor))
	}
	if s.wait < 0 {
		refuse("Wait %v: must not be negative", s.wait)
	}
	if s.retryDelay <= 0 {
		refuse("RetryDelay %v: must be positive", s.retryDelay)
	}
	if s.maxRetries < 0 {
		refuse("MaxRetries %d: must not be negative", s.maxRetries)
	}
	if s.maxHold < 0 {
		refuse("MaxHold %v: must not be negative", s.maxHold)
	}
	if s.maxOutage < 0 {
		refuse("MaxOutage %v: must not be negative", s.maxOutage)
	}
	if len(s.metadata) > maxMetadata {
		refuse("metadata of %d bytes: at most %d", len(s.metadata), maxMetadata)
	}
	return all
}

// Check says what an acquisition with these options would be refused for before it
// sends a command: an error that is ErrInvalid, or nil. It sends none itself, so
// that a mistake can be told of when a program starts.
func (m *Manager) Check(opts ...Option) error {
	var s settings
	m.settings(&s, opts, nil)
	return s.validate(m.cfg.DriftFactor)
}

// driftOf is the part of a lease that is not counted on: clocks run at
// different speeds, and Redis expires keys with a resolution of 1 ms
// (Redis, "Distributed Locks with Redis", safety arguments).
func driftOf(ttl time.Duration, factor float64) time.Duration {
	return time.Duration(float64(ttl)*factor) + 2*time.Millisecond
}
