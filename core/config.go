package core

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config is what New needs. The zero value of every field but Nodes and Clients
// is a safe default.
type Config struct {
	// Nodes are URLs, one per INDEPENDENT Redis: redis://, rediss://, unix://.
	// Independent means that no node replicates another. Use 3 or 5; with one
	// node the lock is as available as that node.
	Nodes []string
	// Clients are ready go-redis clients, one per independent deployment, beside
	// or instead of Nodes. The Manager opens connections of its own with the options
	// of a *redis.Client, sends through any other client, and closes none. A Ring is
	// refused: it moves the keys of a shard that fails.
	Clients []redis.UniversalClient
	// Prefix is the namespace of every key in Redis. Default "dlm". At most 32 bytes.
	Prefix string

	TTL         time.Duration // lease of a lock. Default 30s
	Wait        time.Duration // how long Acquire waits for the holder. Default 5s
	RetryDelay  time.Duration // longest pause before a waiter that was not woken asks again, jittered. Default 100ms
	NodeTimeout time.Duration // how long one node may take to answer, well below TTL. Default a tenth of TTL, within 10ms and 1s
	MaxHold     time.Duration // how long a lock is renewed at most. Default 10 × TTL
	MaxRetries  int           // how often a waiter asks again, each time after a pause or woken. Default 0: until Wait is over
	DriftFactor float64       // part of the TTL given up to clocks of different speed. Default 0.01

	// Logger is told what nobody else can be told. Default slog.Default().
	Logger *slog.Logger
	// Observer is told of every event, on the goroutine where it happens; it must
	// not block. Default none, at no cost.
	Observer Observer
}

const (
	defaultPrefix     = "dlm"
	maxPrefix         = 32
	defaultTTL        = 30 * time.Second
	defaultWait       = 5 * time.Second
	defaultRetryDelay = 100 * time.Millisecond
	defaultDrift      = 0.01
	maxNodeTimeout    = time.Second
	minNodeTimeout    = 10 * time.Millisecond
	maxHoldFactor     = 10
)

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, defaultPrefix)
	c.TTL = cmp.Or(c.TTL, defaultTTL)
	c.Wait = cmp.Or(c.Wait, defaultWait)
	c.RetryDelay = cmp.Or(c.RetryDelay, defaultRetryDelay)
	c.DriftFactor = cmp.Or(c.DriftFactor, defaultDrift)
	c.NodeTimeout = cmp.Or(c.NodeTimeout, min(max(c.TTL/10, minNodeTimeout), maxNodeTimeout))
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate names every mistake at once: field, value and remedy.
func (c Config) validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(format, args...))
	}
	if len(c.Nodes)+len(c.Clients) == 0 {
		refuse("Nodes: none given: name at least one redis:// URL (3 or 5 for a quorum), or pass Clients")
	}
	if n := len(c.Nodes) + len(c.Clients); n > maxNodes {
		refuse("Nodes: %d given: use at most %d (3 or 5 is usual)", n, maxNodes)
	}
	for i, client := range c.Clients {
		if isNil(client) {
			refuse("Clients[%d]: nil: pass a ready client", i)
		}
		if _, ring := client.(*redis.Ring); ring {
			refuse("Clients[%d]: a Ring: when a shard fails, its keys go to another that does not know who holds them: name the shards as Nodes", i)
		}
	}
	if len(c.Prefix) > maxPrefix {
		refuse("Prefix: %d bytes: use at most %d", len(c.Prefix), maxPrefix)
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		refuse("Prefix: %q: leave out braces: they would spread the keys of one lock over a Cluster", c.Prefix)
	}
	if c.NodeTimeout < 0 {
		refuse("NodeTimeout: %v: must be positive", c.NodeTimeout)
	}
	if c.DriftFactor < 0 || c.DriftFactor >= 1 || math.IsNaN(c.DriftFactor) {
		refuse("DriftFactor: %v: must be at least 0 and below 1 (default %v)", c.DriftFactor, defaultDrift)
	} else {
		errs = append(errs, mistakesOf(c.defaults(), c.DriftFactor)...)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("dlm: %w: %w", ErrInvalid, errors.Join(errs...))
}

// waitsTooLong reports whether a node may take longer to answer than a lease lasts, by
// somebody's choice. Nodes that do answer grant locks all the same, so it is not refused.
func (c Config) waitsTooLong() bool {
	return c.NodeTimeout > minNodeTimeout && c.NodeTimeout >= c.TTL-driftOf(c.TTL, c.DriftFactor)
}

// defaults are what a call runs with whose options change nothing.
func (c Config) defaults() *settings {
	return &settings{
		TTL: c.TTL, Wait: c.Wait, RetryDelay: c.RetryDelay, MaxRetries: c.MaxRetries,
		MaxHold: c.MaxHold, MaxOutage: unlimited,
	}
}
