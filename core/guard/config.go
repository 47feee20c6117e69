package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// Config says what a Guard protects and how. Locks and Key are required; the
// zero value of every other field is a safe default.
type Config struct {
	// Locks grants the locks. The Guard does not close it.
	Locks *core.Manager
	// Key names the lock of a request. See package keyfuncs. A Key that fails, or
	// is empty, ends the request with 400 Bad Request, or with what the error's
	// HTTPStatus() int method says; the handler does not run.
	Key func(*http.Request) (string, error)

	// Namespace keeps the keys of one application apart from those of another
	// that shares the Redis nodes and the Manager's Prefix. Default "".
	Namespace string
	// Scope says what else a key is unique within. Default ScopeRoute.
	Scope Scope

	Wait    time.Duration // how long a request waits for its lock. Default the Manager's; negative: not at all
	TTL     time.Duration // lease of the lock, renewed while the handler runs. Default the Manager's
	MaxHold time.Duration // how long the lock is renewed at most. Default the Manager's

	// MaxQueue is how many requests of this process may wait for one key; one more
	// is refused at once. Default 256.
	MaxQueue int
	// ReadAhead is how many bytes of a request's body are read before its lock is
	// taken, so that a slow client holds up nobody but itself; what is beyond
	// streams under the lock. A body of unknown length is only read ahead on
	// HTTP/1, as on HTTP/2 its sender may be waiting for an answer first.
	// Default 1 MiB; negative: nothing.
	ReadAhead int64

	// ContentionStatus is the status of a request that did not get its lock: 409,
	// 423, 429 or 503. Default 503 Service Unavailable.
	ContentionStatus int
	// OnContention answers a request that did not get its lock. Default: the
	// refusal's Status with a Retry-After header and one line of text; with echo
	// the application's HTTPErrorHandler.
	OnContention func(http.ResponseWriter, *http.Request, *Refusal)
	// OnUnavailable says what becomes of a request when too few nodes answer.
	// Default: FailClosed.
	OnUnavailable Unavailable

	// Logger is told of mistakes in the program. Default slog.Default().
	Logger *slog.Logger
}

// Scope is what a key is unique within.
type Scope uint8

const (
	// ScopeRoute keeps equal keys of different routes and methods apart. GET and
	// HEAD count as one method. A route is known where a router tells it; a
	// request without one shares its keys with all others without.
	ScopeRoute Scope = iota
	// ScopeNamespace lets all routes and methods of a Namespace share their keys:
	// a PUT and a DELETE of one order exclude each other. Without a Namespace the
	// lock is then named by the key itself, so that Manager.Do with the same key
	// excludes the handlers too.
	ScopeNamespace
)

// Unavailable is what to do when too few nodes answer to tell who holds a lock.
type Unavailable uint8

const (
	// FailByDefault is FailClosed for a Guard that serializes and FailOpen for
	// one that caches.
	FailByDefault Unavailable = iota
	// FailClosed refuses the request with 503 Service Unavailable.
	FailClosed
	// FailOpen runs the handler without a lock.
	FailOpen
)

const (
	defaultMaxQueue  = 256
	defaultReadAhead = 1 << 20
)

// settings is a Config that was found valid.
type settings struct {
	Config
	lockOptions []core.Option
}

func (c Config) settings() (settings, error) {
	if err := c.validate(); err != nil {
		return settings{}, fmt.Errorf("guard: invalid Config: %w", err)
	}
	s := settings{Config: c}
	s.MaxQueue = orDefault(c.MaxQueue, defaultMaxQueue)
	s.ReadAhead = orDefault(c.ReadAhead, defaultReadAhead)
	s.ContentionStatus = orDefault(c.ContentionStatus, http.StatusServiceUnavailable)
	s.OnUnavailable = orDefault(c.OnUnavailable, FailClosed)
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	s.lockOptions = c.lockOptions()
	return s, nil
}

// validate names every mistake at once.
func (c Config) validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Locks == nil {
		refuse("Locks: nil: pass the *core.Manager that grants the locks")
	}
	if c.Key == nil {
		refuse("Key: nil: pass a key function, such as keyfuncs.MustTemplate(\"order_<id>\")")
	}
	if c.TTL < 0 || c.TTL > 0 && c.TTL < time.Millisecond {
		refuse("TTL: %v: must be at least 1ms, or 0 for the Manager's", c.TTL)
	}
	if c.MaxHold < 0 {
		refuse("MaxHold: %v: must be positive, or 0 for the Manager's", c.MaxHold)
	}
	if c.MaxQueue < 0 {
		refuse("MaxQueue: %d: must be positive, or 0 for %d", c.MaxQueue, defaultMaxQueue)
	}
	if c.Scope > ScopeNamespace {
		refuse("Scope: %d: use ScopeRoute or ScopeNamespace", c.Scope)
	}
	if c.OnUnavailable > FailOpen {
		refuse("OnUnavailable: %d: use FailClosed or FailOpen", c.OnUnavailable)
	}
	if !contentionStatus(c.ContentionStatus) {
		refuse("ContentionStatus: %d: use 409, 423, 429 or 503", c.ContentionStatus)
	}
	return errors.Join(errs...)
}

func contentionStatus(code int) bool {
	switch code {
	case 0, http.StatusConflict, http.StatusLocked, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return false
}

func (c Config) lockOptions() []core.Option {
	opts := []core.Option{core.WithAutoRenew()}
	if c.Wait != 0 {
		opts = append(opts, core.WithWait(max(c.Wait, 0)))
	}
	if c.TTL != 0 {
		opts = append(opts, core.WithTTL(c.TTL))
	}
	if c.MaxHold != 0 {
		opts = append(opts, core.WithMaxHold(c.MaxHold))
	}
	return opts
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
