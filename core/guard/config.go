package guard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// Config says what a Guard protects and how. Locks and Key are required; the
// zero value of every other field is a safe default.
type Config struct {
	// Locks grants the locks. The Guard does not close it.
	Locks *core.Manager
	// Key names the lock of a request. See package keyfuncs. A Key that fails, or
	// is empty, ends the request with 400 Bad Request, or with what the error's
	// HTTPStatus() int method says; the handler does not run.
	//
	// It must not keep the request, which an adapter may use again for the next one.
	// The request's context it may keep.
	Key func(*http.Request) (string, error)

	// Namespace keeps the keys of one application apart from those of another
	// that shares the Redis nodes and the Manager's Prefix. Default "".
	Namespace string
	// Scope says what else a key is unique within. Default ScopeRoute.
	Scope Scope

	// Fresh is how long a response that says nothing about its freshness is served
	// without running the handler. 0: the handler runs for every request that gets
	// its lock, one at a time.
	Fresh time.Duration
	// Stale is how long after Fresh a response that says nothing about it may be
	// served while one request refreshes it, and when that fails; with Fresh 0, to
	// requests that do not get their lock. 0: never.
	Stale time.Duration

	// Wait is how long a request waits for its lock, or for the response of another
	// one. Default 5s with Fresh or Stale, else the Manager's; negative: not at all.
	Wait    time.Duration
	TTL     time.Duration // lease of the lock, renewed while the handler runs. Default the Manager's
	MaxHold time.Duration // how long the lock is renewed at most. Default the Manager's

	// MaxQueue is how many requests of this process may wait for one key; one more
	// is refused at once. Default 256, or 4096 with Fresh, where all of them wait
	// for the same response.
	MaxQueue int
	// ReadAhead is how many bytes of a request's body are read before its lock is
	// taken, so that a slow client holds up nobody but itself; what is beyond
	// streams under the lock. One that Expect: 100-continue holds back is asked for
	// then, though the handler might not. A body of unknown length is only read ahead on
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
	// OnUnavailable says what becomes of a request when too few nodes answer, and
	// none of them knows of a holder. Default: FailClosed, or FailOpen with Fresh.
	OnUnavailable Unavailable
	// MaxOutage is how long a request waits for nodes to answer again, Wait at most,
	// before OnUnavailable decides. Default 0: they are asked once, which takes the
	// Manager's NodeTimeout at most, and a client that is refused comes again. More
	// bridges a network that breaks for a moment; servers that restart have no vote for
	// the longest lease, and outlast any wait. For a request whose response may be kept,
	// as Fresh and Stale ask for, they are asked once in any case.
	MaxOutage time.Duration

	// Store keeps the responses. Default: 64 MiB of memory over the Manager's own
	// Redis nodes, each response on two of them. What it does may take as long as a
	// node may take to answer: the Manager's NodeTimeout.
	Store cache.Store
	// MaxBody is the largest response kept, in bytes; a larger one is passed on as
	// it comes. Default 1 MiB.
	MaxBody int64
	// HitForMiss is for how long a target whose response could not be stored is
	// remembered, so that its requests do not wait for each other. Default 10s.
	HitForMiss time.Duration
	// Jitter shortens every response's freshness by a random part of up to this
	// fraction, so that what was stored together does not expire together.
	Jitter float64
	// Heuristic turns on heuristic freshness (RFC 9111 §4.2.2), a tenth of the time
	// since Last-Modified, and limits it. Default 0: off.
	Heuristic time.Duration
	// ObeyClient honors Cache-Control and Pragma of requests. Default: they are
	// ignored, because they let any client make the handler run.
	ObeyClient bool
	// TargetedControl names the targeted Cache-Control fields to obey, most
	// specific first (RFC 9213). Default: none.
	TargetedControl []string
	// CacheName is the Guard's name in Cache-Status (RFC 9211). Default "dlm".
	CacheName string

	// IgnoreQuery names query parameters that make no difference to any response.
	IgnoreQuery []string
	// IgnoreHost says that the Host makes no difference to any response.
	IgnoreHost bool
	// IdentityHeaders name request header fields that make a difference though no
	// Vary tells, such as an X-Forwarded-Host that the handler puts into links.
	IdentityHeaders []string

	// DangerouslyCacheAuthorization treats requests with Authorization as any
	// other. Everybody gets what was answered to one.
	DangerouslyCacheAuthorization bool
	// DangerouslyCacheCookies treats requests with cookies as any other.
	DangerouslyCacheCookies bool
	// DangerouslyStoreSetCookie stores responses that set cookies; everybody gets
	// the cookie of one.
	DangerouslyStoreSetCookie bool

	// Idempotent honors the Idempotency-Key of requests. Key may then be nil: all
	// other requests go to the handler as they come. Default: not honored.
	Idempotent *Idempotent

	// OnFetch is told when the handler begins to run for the store, as metrics and
	// traces want to know. It returns the context the handler gets, made of ctx, and
	// what to call when the handler has returned, with the status it answered, 0 for
	// none or a panic, and its error. Of a refresh in the background, cause is a
	// context with the values of the request that found the response stale and may
	// be over; otherwise nil. Telemetry's Observer.OnFetch makes a span of it. A run
	// that the store has no part in, above all of a Guard that serializes, is not
	// told of: the lock's hold is its span.
	// Default none.
	OnFetch func(ctx, cause context.Context) (context.Context, func(status int, err error))

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
	defaultMaxQueue   = 256
	defaultCacheQueue = 4096
	defaultReadAhead  = 1 << 20
	defaultMaxBody    = 1 << 20
	defaultHitForMiss = 10 * time.Second
	defaultCacheName  = "dlm"
)

// settings is a Config that was found valid.
type settings struct {
	Config
	lockOptions []core.Option
	policy      rfc9111.Policy
	now         func() time.Time // the wall clock, which may be set; ages are told by the store
}

func (c Config) settings() (settings, error) {
	if err := c.validate(); err != nil {
		return settings{}, fmt.Errorf("guard: invalid Config: %w", err)
	}
	s := settings{Config: c, now: time.Now}
	s.MaxQueue = cmp.Or(c.MaxQueue, defaultMaxQueue)
	s.ReadAhead = cmp.Or(c.ReadAhead, defaultReadAhead)
	s.ContentionStatus = cmp.Or(c.ContentionStatus, http.StatusServiceUnavailable)
	s.OnUnavailable = cmp.Or(c.OnUnavailable, FailClosed)
	if c.Fresh > 0 {
		s.MaxQueue = cmp.Or(c.MaxQueue, defaultCacheQueue)
		s.OnUnavailable = cmp.Or(c.OnUnavailable, FailOpen)
	}
	s.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	s.HitForMiss = cmp.Or(c.HitForMiss, defaultHitForMiss)
	s.CacheName = cmp.Or(c.CacheName, defaultCacheName)
	if c.Idempotent != nil {
		own := *c.Idempotent
		own.Keep = cmp.Or(own.Keep, defaultKeep)
		if own.Principal == nil {
			own.Principal = authorizationOf
		}
		s.Idempotent = &own
	}
	s.IdentityHeaders = canonicalNames(c.IdentityHeaders)
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	s.lockOptions = c.lockOptions()
	s.policy = c.cachePolicy()
	return s, nil
}

func (c Config) cachePolicy() rfc9111.Policy {
	return rfc9111.Policy{
		Targets: c.TargetedControl, DefaultLifetime: c.Fresh, DefaultStale: c.Stale, HeuristicMax: c.Heuristic,
		ObeyClient: c.ObeyClient, DangerouslyIgnoreAuthorization: c.DangerouslyCacheAuthorization,
		DangerouslyAllowCookies: c.DangerouslyCacheCookies, DangerouslyAllowSetCookie: c.DangerouslyStoreSetCookie,
	}
}

func canonicalNames(names []string) []string {
	canonical := make([]string, len(names))
	for i, name := range names {
		canonical[i] = http.CanonicalHeaderKey(name)
	}
	return canonical
}

// validate names every mistake at once.
func (c Config) validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Locks == nil {
		refuse("Locks: nil: pass the *core.Manager that grants the locks")
	}
	if c.Key == nil && c.Idempotent == nil {
		refuse("Key: nil: pass a key function, such as keyfuncs.MustTemplate(\"order_<id>\")")
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"Fresh", c.Fresh}, {"Stale", c.Stale}, {"MaxHold", c.MaxHold},
		{"MaxOutage", c.MaxOutage}, {"HitForMiss", c.HitForMiss}, {"Heuristic", c.Heuristic},
	} {
		if d.d < 0 {
			refuse("%s: %v: must not be negative", d.name, d.d)
		}
	}
	if c.Idempotent != nil && c.Idempotent.Keep < 0 {
		refuse("Idempotent.Keep: %v: must be positive, or 0 for %v", c.Idempotent.Keep, defaultKeep)
	}
	if c.Jitter < 0 || c.Jitter >= 1 || c.Jitter != c.Jitter {
		refuse("Jitter: %v: must be at least 0 and below 1", c.Jitter)
	}
	if c.MaxBody < 0 {
		refuse("MaxBody: %d: must be positive, or 0 for %d", c.MaxBody, defaultMaxBody)
	}
	if c.TTL < 0 || c.TTL > 0 && c.TTL < time.Millisecond {
		refuse("TTL: %v: must be at least 1ms, or 0 for the Manager's", c.TTL)
	} else if c.Locks != nil && c.MaxHold >= 0 {
		if err := c.Locks.Check(c.lockOptions()...); err != nil {
			refuse("TTL: %w", err)
		}
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
	opts := []core.Option{core.WithAutoRenew(), core.WithMaxOutage(max(c.MaxOutage, 0))}
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
