package rfc9111

import (
	"net/http"
	"time"
)

// State says what a cache may do with a stored response at a given moment.
type State uint8

const (
	// Expired: only after successful validation (RFC 9111 §4.2.4).
	Expired State = iota
	// Fresh: without further ado (RFC 9111 §4.2).
	Fresh
	// StaleWhileRevalidate: at once, while one request refreshes it (RFC 5861 §3).
	StaleWhileRevalidate
	// StaleIfError: where refreshing it failed (RFC 5861 §4).
	StaleIfError
)

// LifetimeSource says where a freshness lifetime comes from.
type LifetimeSource uint8

// The sources in order of precedence (RFC 9111 §4.2.1, §4.2.2).
const (
	NoLifetime LifetimeSource = iota
	FromSMaxAge
	FromMaxAge
	FromExpires
	FromHeuristic
	FromDefault
)

// skewTolerance is how far two processes' clocks may disagree before a response
// that seems to come from the future is taken for what it is: of unknown age.
const skewTolerance = time.Second

// Freshness is the part of a stored response that decides its reuse over time,
// computed once when it is stored.
type Freshness struct {
	Lifetime   time.Duration
	Source     LifetimeSource
	InitialAge time.Duration // corrected_initial_age of RFC 9111 §4.2.3
	ReceivedAt time.Time
	// How long past Lifetime the response may be served while it is refreshed,
	// and where refreshing fails; 0 where RFC 9111 §4.2.4 forbids it.
	WhileRevalidate time.Duration
	IfError         time.Duration

	mustValidate bool // no-cache, or a policy that could not be read
	staleBarred  bool // even a client's max-stale does not help
}

// Age is the current age of RFC 9111 §4.2.3.
func (f *Freshness) Age(now time.Time) time.Duration {
	return f.InitialAge + max(0, now.Sub(f.ReceivedAt))
}

// TTL is what remains of the freshness lifetime; negative once stale.
func (f *Freshness) TTL(now time.Time) time.Duration {
	return f.Lifetime - f.Age(now)
}

// State decides what may be done with the response at now. A response received
// after now, by more than clocks of a fleet differ, is Expired: the clock was
// set back, and its age cannot be known.
func (f *Freshness) State(now time.Time) State {
	if f.mustValidate || f.fromFuture(now) {
		return Expired
	}
	switch ttl := f.TTL(now); {
	case ttl > 0:
		return Fresh
	case -ttl < f.WhileRevalidate:
		return StaleWhileRevalidate
	case -ttl < f.IfError:
		return StaleIfError
	}
	return Expired
}

func (f *Freshness) fromFuture(now time.Time) bool {
	return f.ReceivedAt.Sub(now) > skewTolerance
}

// Reusable is how long after ReceivedAt the response may be of any use
// without validation; what to set a store's own expiry to.
func (f *Freshness) Reusable() time.Duration {
	if f.mustValidate {
		return 0
	}
	return max(0, f.Lifetime+max(f.WhileRevalidate, f.IfError)-f.InitialAge)
}

func (p *Policy) freshness(status int, h http.Header, d *Directives, requested, received time.Time) Freshness {
	date := dateOf(h, received)
	f := Freshness{
		InitialAge:   initialAge(h, date, requested, received),
		ReceivedAt:   received,
		mustValidate: d.Has(NoCache | Malformed),
		staleBarred:  d.barStale(),
	}
	f.Lifetime, f.Source = p.lifetime(status, h, d, date, received)
	if f.mustValidate {
		f.Lifetime = 0
	}
	if !f.staleBarred {
		silent := p.defaultStale(status, &f)
		f.WhileRevalidate = d.StaleWhileRevalidate.or(silent)
		f.IfError = d.StaleIfError.or(silent)
	}
	return f
}

// defaultStale is DefaultStale, save for responses no default applies to and
// for those that call themselves stale from the start: "Expires: 0" is meant to
// keep a response from being reused.
func (p *Policy) defaultStale(status int, f *Freshness) time.Duration {
	switch f.Source {
	case FromSMaxAge, FromMaxAge, FromExpires:
		if f.Lifetime == 0 {
			return 0
		}
	default:
		if !HeuristicallyCacheable(status) {
			return 0
		}
	}
	return p.DefaultStale
}

func (d Delta) or(value time.Duration) time.Duration {
	if d.Set {
		return d.Value
	}
	return value
}

// barStale lists what forbids a shared cache to serve a response stale
// (RFC 9111 §4.2.4). s-maxage does because it implies proxy-revalidate
// (§5.2.2.10).
func (d *Directives) barStale() bool {
	return d.Has(NoCache|MustRevalidate|ProxyRevalidate|Malformed) || d.SMaxAge.Set
}

// lifetime is RFC 9111 §4.2.1 for a shared cache, then §4.2.2, then the
// policy's own.
func (p *Policy) lifetime(status int, h http.Header, d *Directives, date, received time.Time) (time.Duration, LifetimeSource) {
	expires := h["Expires"]
	switch {
	case d.SMaxAge.Set:
		return d.SMaxAge.Value, FromSMaxAge
	case d.MaxAge.Set:
		return d.MaxAge.Value, FromMaxAge
	case len(expires) > 0 && !d.Has(Targeted):
		return expiresLifetime(expires, date, received), FromExpires
	}
	if lifetime, ok := p.heuristic(status, h, d, date, received); ok {
		return lifetime, FromHeuristic
	}
	if p.DefaultLifetime > 0 && HeuristicallyCacheable(status) {
		return p.DefaultLifetime, FromDefault
	}
	return 0, NoLifetime
}

// expiresLifetime is Expires − Date. An invalid date, "0" above all, is in the
// past (RFC 9111 §5.3), and of two lines that differ neither can be trusted.
func expiresLifetime(lines []string, date, received time.Time) time.Duration {
	for _, line := range lines[1:] {
		if line != lines[0] {
			return 0
		}
	}
	expires, ok := ParseDate(lines[0], received)
	if !ok {
		return 0
	}
	return min(max(0, expires.Sub(date)), MaxDelta)
}

// heuristic is a tenth of the time since the last modification, the fraction
// RFC 9111 §4.2.2 gives, up to HeuristicMax.
func (p *Policy) heuristic(status int, h http.Header, d *Directives, date, received time.Time) (time.Duration, bool) {
	if p.HeuristicMax <= 0 || !HeuristicallyCacheable(status) && !d.Has(Public) {
		return 0, false
	}
	modified, ok := singleDate(h["Last-Modified"], received)
	if !ok || modified.After(date) {
		return 0, false
	}
	return min(date.Sub(modified)/10, p.HeuristicMax), true
}

// HeuristicallyCacheable reports the status codes RFC 9110 §15.1 defines so,
// without 206, which this package never stores.
func HeuristicallyCacheable(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent,
		http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusPermanentRedirect,
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
		http.StatusRequestURITooLong, http.StatusNotImplemented:
		return true
	}
	return false
}

// initialAge is corrected_initial_age of RFC 9111 §4.2.3. Without a request
// time no delay is counted: that is for a handler known to be the origin.
func initialAge(h http.Header, date, requested, received time.Time) time.Duration {
	apparent := max(0, received.Sub(date))
	var delay time.Duration
	if !requested.IsZero() {
		delay = max(0, received.Sub(requested))
	}
	return min(max(apparent, parseAge(h["Age"])+delay), MaxDelta)
}

// parseAge uses the first member of a repeated field and ignores what is no
// non-negative integer (RFC 9111 §5.1).
func parseAge(lines []string) time.Duration {
	for value := range listed(lines) {
		age, _ := parseDelta(value)
		return age
	}
	return 0
}

// dateOf falls back to the time of receipt (RFC 9110 §6.6.1).
func dateOf(h http.Header, received time.Time) time.Time {
	if lines := h["Date"]; len(lines) > 0 {
		if date, ok := ParseDate(lines[0], received); ok {
			return date
		}
	}
	return received
}

func singleDate(lines []string, now time.Time) (time.Time, bool) {
	if len(lines) != 1 {
		return time.Time{}, false
	}
	return ParseDate(lines[0], now)
}
