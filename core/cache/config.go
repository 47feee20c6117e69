package cache

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// Config is what New needs. Its zero value caches nothing: set Fresh, or Stale,
// or both.
//
//	Fresh > 0             a cache: misses run one fetch in the fleet, shared by all who wait
//	Fresh == 0, Stale > 0 calls run one at a time; whoever does not get the lock gets the last value
//	Fresh == 0, Stale == 0 calls run one at a time; nothing is stored, whatever a value's Policy says
type Config struct {
	// Namespace separates the keys of caches that share a Store. Caches of
	// different value types on one Store need different namespaces. At most 64
	// bytes, without a zero byte.
	Namespace string
	// Locks makes one fetch run in the whole fleet. Nil: one in this Cache, whose
	// calls then take turns among themselves; Fresh must be positive.
	Locks *core.Manager
	// Store keeps the values. Default NewMemory(64 MiB): this process only.
	Store Store
	// Codec turns values into bytes for stores outside this process. Default JSON.
	Codec Codec

	Fresh        time.Duration // how long a value is served without a fetch
	Stale        time.Duration // how long after Fresh it may stand in while it is refreshed, or for an error
	StaleIfError time.Duration // how long after Fresh it may stand in for an error, when longer than Stale

	// Negative is how long an error that matches one of NegativeErrors is
	// remembered in place of a value. 0: not at all.
	Negative       time.Duration
	NegativeErrors []error

	// Jitter shortens every Fresh by a random part of up to this fraction, so
	// that what was stored together does not expire together. 0 to below 1.
	Jitter float64
	// EarlyBeta refreshes a value in the background before it expires, with a
	// probability that rises towards its expiry and with the time its fetch takes
	// (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
	// Stampede Prevention", VLDB 2015). 1 is their optimum; 0 turns it off.
	EarlyBeta float64

	// Wait is how long a call waits for another one's fetch or lock. Default 5s,
	// whatever the Manager's; negative: not at all.
	Wait time.Duration
	// Contention is what a call gets meanwhile. Default StaleFirst.
	Contention Contention
	// DirectFetch lets a call whose wait is over fetch without the lock, as a
	// last resort, instead of being refused. The value is not stored.
	DirectFetch bool

	LockTTL time.Duration // lease of a fetch's lock, renewed while it runs. Default: the Manager's
	// MaxHold ends a fetch that takes longer, by cancelling its context. Default 5m.
	MaxHold time.Duration
	// RetryAfter is how long this process leaves a key alone, serving its stale
	// value, after a refresh failed. Default 1s.
	RetryAfter time.Duration
	// Background is how many refreshes run in the background at most. One that
	// finds no room is dropped; the next stale hit asks again. Default 16.
	Background int

	OnLockFailure  Failure       // the lock service is down. Default FailOpen
	OnStoreFailure Failure       // the store is down. Default FailOpen
	StoreTimeout   time.Duration // how long one store operation may take. Default 500ms

	// MaxValue is the largest encoded value stored, in bytes, before compression.
	// Larger ones are delivered, not stored. Default 8 MiB.
	MaxValue int
	// CompressAbove compresses encoded values of more bytes. Default 4 KiB;
	// negative: never.
	CompressAbove int

	// Logger is told of what no caller is told. Default slog.Default().
	Logger *slog.Logger

	patience time.Duration // see defaultPatience
}

const (
	defaultWait          = 5 * time.Second
	defaultMaxHold       = 5 * time.Minute
	defaultRetryAfter    = time.Second
	defaultBackground    = 16
	defaultStoreTimeout  = 500 * time.Millisecond
	defaultMaxValue      = 8 << 20
	defaultCompressAbove = 4 << 10
	defaultMemory        = 64 << 20
	maxNamespace         = 64
	maxCodecName         = 32
	// maxLifetime keeps sums of lifetimes within an int64 of nanoseconds.
	maxLifetime = 10 * 365 * 24 * time.Hour
)

func (c Config) withDefaults() Config {
	c.Wait = cmp.Or(c.Wait, defaultWait)
	c.Contention = cmp.Or(c.Contention, StaleFirst)
	c.MaxHold = cmp.Or(c.MaxHold, defaultMaxHold)
	c.RetryAfter = cmp.Or(c.RetryAfter, defaultRetryAfter)
	c.Background = cmp.Or(c.Background, defaultBackground)
	c.OnLockFailure = cmp.Or(c.OnLockFailure, FailOpen)
	c.OnStoreFailure = cmp.Or(c.OnStoreFailure, FailOpen)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, defaultStoreTimeout)
	c.MaxValue = cmp.Or(c.MaxValue, defaultMaxValue)
	c.CompressAbove = cmp.Or(c.CompressAbove, defaultCompressAbove)
	c.patience = cmp.Or(c.patience, defaultPatience)
	if c.Codec == nil {
		c.Codec = JSON{}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate names every mistake at once: field, value and remedy.
func (c Config) validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"Fresh", c.Fresh}, {"Stale", c.Stale}, {"StaleIfError", c.StaleIfError}, {"Negative", c.Negative},
		{"LockTTL", c.LockTTL}, {"MaxHold", c.MaxHold}, {"RetryAfter", c.RetryAfter}, {"StoreTimeout", c.StoreTimeout},
	} {
		refuse(d.d < 0, "%s: %v: must not be negative", d.name, d.d)
		refuse(d.d > maxLifetime, "%s: %v: must be at most %v", d.name, d.d, maxLifetime)
	}
	refuse(c.Fresh == 0 && c.Locks == nil, "Locks: nil: needed when Fresh is 0, because calls then run one at a time; set Locks or Fresh")
	refuse(len(c.Namespace) > maxNamespace, "Namespace: %d bytes: use at most %d", len(c.Namespace), maxNamespace)
	refuse(strings.ContainsRune(c.Namespace, 0), "Namespace: %q: must not hold a zero byte", c.Namespace)
	refuse(!(c.Jitter >= 0 && c.Jitter < 1), "Jitter: %v: must be at least 0 and below 1", c.Jitter)
	refuse(!(c.EarlyBeta >= 0) || math.IsInf(c.EarlyBeta, 1), "EarlyBeta: %v: must be at least 0 (1 is optimal)", c.EarlyBeta)
	refuse(c.Negative > 0 && len(c.NegativeErrors) == 0, "NegativeErrors: none: name the errors that Negative is about")
	refuse(c.Contention > FreshOnly, "Contention: %d: use StaleFirst, FreshFirst or FreshOnly", c.Contention)
	refuse(c.OnLockFailure > FailClosed, "OnLockFailure: %d: use FailOpen or FailClosed", c.OnLockFailure)
	refuse(c.OnStoreFailure > FailClosed, "OnStoreFailure: %d: use FailOpen or FailClosed", c.OnStoreFailure)
	refuse(c.Background < 0, "Background: %d: must not be negative", c.Background)
	refuse(c.MaxValue < 0, "MaxValue: %d: must not be negative", c.MaxValue)
	refuse(len(c.Codec.Name()) > maxCodecName, "Codec: name of %d bytes: use at most %d", len(c.Codec.Name()), maxCodecName)
	for i, err := range c.NegativeErrors {
		refuse(err == nil, "NegativeErrors[%d]: nil", i)
	}
	if c.Locks != nil && c.LockTTL >= 0 && c.MaxHold >= 0 {
		err := c.Locks.Check(c.lockOptions()...)
		refuse(err != nil, "LockTTL, MaxHold: %w", err)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("dlm/cache: %w: %w", ErrInvalid, errors.Join(errs...))
}

// policy is what applies to a value that does not decide for itself.
func (c *Config) policy() Policy {
	return Policy{Fresh: c.Fresh, Stale: c.Stale, StaleIfError: c.StaleIfError}
}

// stores reports whether anything is ever stored.
func (c *Config) stores() bool { return c.Fresh > 0 || c.Stale > 0 }

// lockOptions are those of every fetch.
func (c *Config) lockOptions() []core.Option {
	opts := []core.Option{core.WithAutoRenew(), core.WithMaxHold(c.MaxHold)}
	if c.LockTTL > 0 {
		opts = append(opts, core.WithTTL(c.LockTTL))
	}
	return opts
}
