package core

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/acquisition"
)

// Option changes one call's settings from the Manager's. Nil changes nothing.
type Option func(*acquisition.Settings)

type settings = acquisition.Settings

// WithTTL sets the lease: how long the lock outlives a holder that vanishes.
// At least 1 ms. A node that restarts is left out for the longest TTL ever used, so
// rather renew a lock than give it a long one.
func WithTTL(d time.Duration) Option { return func(s *settings) { s.TTL = d } }

// WithWait sets how long Acquire and Do wait for the holder. 0 means one round.
func WithWait(d time.Duration) Option { return func(s *settings) { s.Wait = d } }

// WithAutoRenew keeps the lease alive until Release, MaxHold or loss. Do always renews.
func WithAutoRenew() Option { return func(s *settings) { s.AutoRenew = true } }

// WithMaxHold ends the renewal d after the acquisition; the lock is then lost
// when its lease runs out. Default 10 × TTL.
func WithMaxHold(d time.Duration) Option {
	return func(s *settings) { s.MaxHold, s.MaxHoldSet = d, true }
}

// WithRetry sets the longest pause before a waiter asks again, which is jittered and
// ends when a release wakes the waiter, and how often it asks again after such a
// pause; 0 means until the wait is over. Waiters behind others of their process do not ask.
func WithRetry(delay time.Duration, maxRetries int) Option {
	return func(s *settings) { s.RetryDelay, s.MaxRetries = delay, maxRetries }
}

// WithMaxOutage sets how long Acquire and Do go on asking while too few nodes answer
// and none of them knows of a holder; the round that ends after that is the last, and
// its error ErrNoQuorum. 0 means the first such round, which NodeTimeout bounds. A lock
// that somebody holds is waited for as ever. Default: as long as the wait.
func WithMaxOutage(d time.Duration) Option { return func(s *settings) { s.MaxOutage = d } }

// unlimited is longer than any wait.
const unlimited = time.Duration(math.MaxInt64)

// maxMetadata bounds what one lock can store on every node.
const maxMetadata = 4096

// WithMetadata stores a note beside the lock, shown by Inspect. At most 4096 bytes.
func WithMetadata(note string) Option { return func(s *settings) { s.Metadata = note } }

// maxTTL keeps every sum of a TTL and a wall-clock time within Redis' and Lua's
// exact integers.
const maxTTL = 100 * 365 * 24 * time.Hour

func validate(s *settings, driftFactor float64) error {
	if mistakes := mistakesOf(s, driftFactor); len(mistakes) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(mistakes...))
	}
	return nil
}

// mistakesOf are all of them: setting, value and remedy. Without any it allocates
// nothing, as every acquisition asks.
func mistakesOf(s *settings, driftFactor float64) (all []error) {
	refuse := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	switch {
	case s.TTL < time.Millisecond:
		refuse("TTL %v: must be at least 1ms", s.TTL)
	case s.TTL > maxTTL:
		refuse("TTL %v: must be at most %v", s.TTL, maxTTL)
	case s.TTL <= driftOf(s.TTL, driftFactor):
		refuse("TTL %v: must be longer than the clock drift allowance of %v", s.TTL, driftOf(s.TTL, driftFactor))
	}
	if s.Wait < 0 {
		refuse("Wait %v: must not be negative", s.Wait)
	}
	if s.RetryDelay <= 0 {
		refuse("RetryDelay %v: must be positive", s.RetryDelay)
	}
	if s.MaxRetries < 0 {
		refuse("MaxRetries %d: must not be negative", s.MaxRetries)
	}
	if s.MaxHold < 0 {
		refuse("MaxHold %v: must not be negative", s.MaxHold)
	}
	if s.MaxOutage < 0 {
		refuse("MaxOutage %v: must not be negative", s.MaxOutage)
	}
	if len(s.Metadata) > maxMetadata {
		refuse("metadata of %d bytes: at most %d", len(s.Metadata), maxMetadata)
	}
	return all
}

// Check says what an acquisition with these options would be refused for before it
// sends a command: an error that is ErrInvalid, or nil. It sends none itself, so
// that a mistake can be told of when a program starts.
func (m *Manager) Check(opts ...Option) error {
	var s settings
	m.apply(opts, &s)
	return validate(&s, m.cfg.DriftFactor)
}

// driftOf is the part of a lease that is not counted on: clocks run at
// different speeds, and Redis expires keys with a resolution of 1 ms
// (Redis, "Distributed Locks with Redis", safety arguments).
func driftOf(ttl time.Duration, factor float64) time.Duration {
	return time.Duration(float64(ttl)*factor) + 2*time.Millisecond
}
