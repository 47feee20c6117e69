package rfc9111

import (
	"net/http"
	"time"
)

// Policy is what the operator of the cache decides; the zero value stores only
// what RFC 9111 lets a shared cache store without any doubt.
type Policy struct {
	// Targets are the targeted Cache-Control fields to obey, most specific
	// first (RFC 9213), as in "DLM-Cache-Control", "CDN-Cache-Control".
	Targets []string
	// DefaultLifetime applies to responses that say nothing about freshness and
	// are HeuristicallyCacheable.
	DefaultLifetime time.Duration
	// DefaultStale applies to responses that say nothing about being served
	// stale, do not forbid it and have a lifetime to be stale after, their own
	// or DefaultLifetime, which may be 0.
	DefaultStale time.Duration
	// HeuristicMax turns on heuristic freshness and limits it. 0: off.
	HeuristicMax time.Duration
	// ObeyClient honors Cache-Control and Pragma of requests.
	ObeyClient bool
	// DangerouslyIgnoreAuthorization caches in spite of an Authorization in the
	// request, and of Vary: Authorization. Otherwise such requests bypass the
	// cache, those of RFC 9111 §3.5 included.
	DangerouslyIgnoreAuthorization bool
	// DangerouslyAllowCookies caches in spite of a Cookie in the request, and
	// of Vary: Cookie.
	DangerouslyAllowCookies bool
	// DangerouslyAllowSetCookie stores responses that set cookies, so that
	// everybody gets them.
	DangerouslyAllowSetCookie bool
}

// Reason says why a cache does not take part. Its text is a token, fit for the
// detail parameter of Cache-Status and for a metric's label.
type Reason string

// The reasons a request bypasses the cache or a response is not stored.
const (
	OK                   Reason = ""
	ReasonMethod         Reason = "method"
	ReasonCookie         Reason = "cookie"
	ReasonAuthorization  Reason = "authorization"
	ReasonPrecondition   Reason = "precondition"
	ReasonClientNoStore  Reason = "client-no-store"
	ReasonStatus         Reason = "status"
	ReasonPartial        Reason = "partial"
	ReasonMustUnderstand Reason = "must-understand"
	ReasonNoStore        Reason = "no-store"
	ReasonPrivate        Reason = "private"
	ReasonSetCookie      Reason = "set-cookie"
	ReasonTrailer        Reason = "trailer"
	ReasonFieldName      Reason = "field-name"
	ReasonVaryAny        Reason = "vary-any"
	ReasonVaryCookie     Reason = "vary-cookie"
	ReasonVaryAuth       Reason = "vary-authorization"
	ReasonVaryInvalid    Reason = "vary-invalid"
	ReasonNoLifetime     Reason = "no-lifetime"
	ReasonUseless        Reason = "stale-without-validator"
)

// Exchange is one request and the fields of the final response to it, by their
// canonical names.
type Exchange struct {
	Method   string
	Request  http.Header
	Response http.Header
	// Cookies: something in front of the cache sets some for the client that asked.
	Cookies bool
}

// Bypass says why a request can have no answer from the store. The precondition
// fields that are not for caches go to the origin (RFC 9111 §4.3.2).
func (p *Policy) Bypass(method string, h http.Header) Reason {
	switch {
	case method != http.MethodGet && method != http.MethodHead:
		return ReasonMethod
	case len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0:
		return ReasonPrecondition
	}
	return p.credentials(h)
}

func (p *Policy) credentials(h http.Header) Reason {
	switch {
	case len(h["Authorization"]) > 0 && !p.DangerouslyIgnoreAuthorization:
		return ReasonAuthorization
	case len(h["Cookie"]) > 0 && !p.DangerouslyAllowCookies:
		return ReasonCookie
	}
	return OK
}

// Refusal says why a response must not be stored, as RFC 9111 §3 has it for a
// shared cache; OK where it may be. s is what Describe made of the response.
func (p *Policy) Refusal(x *Exchange, s *Stored) Reason {
	for _, check := range [...]func(*Policy, *Exchange, *Stored) Reason{
		(*Policy).refuseRequest,
		(*Policy).refuseStatus,
		(*Policy).refuseDirectives,
		(*Policy).refuseFields,
		(*Policy).refuseVary,
		(*Policy).refuseLifetime,
	} {
		if reason := check(p, x, s); reason != OK {
			return reason
		}
	}
	return OK
}

// refuseRequest takes GET alone: what answers a HEAD has no content to answer
// a GET with.
func (p *Policy) refuseRequest(x *Exchange, _ *Stored) Reason {
	if x.Method != http.MethodGet {
		return ReasonMethod
	}
	if reason := p.credentials(x.Request); reason != OK {
		return reason
	}
	if p.ObeyClient && ParseRequest(x.Request).NoStore {
		return ReasonClientNoStore
	}
	return OK
}

func (p *Policy) refuseStatus(x *Exchange, s *Stored) Reason {
	switch {
	case s.Status == http.StatusPartialContent || len(x.Response["Content-Range"]) > 0:
		return ReasonPartial
	case s.Status < 200 || s.Status > 599 || s.Status == http.StatusNotModified, neverStored(s.Status):
		return ReasonStatus
	case s.Has(MustUnderstand) && !understood(s.Status):
		return ReasonMustUnderstand
	}
	return OK
}

// neverStored lists the status codes of RFC 6585, none of which a cache may store.
func neverStored(status int) bool {
	switch status {
	case http.StatusPreconditionRequired, http.StatusTooManyRequests,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

// understood reports the status codes whose caching this package implements:
// the registered final ones, which net/http names, but for those that speak of
// a part or of somebody else's copy.
func understood(status int) bool {
	return http.StatusText(status) != "" && status >= 200 &&
		status != http.StatusPartialContent && status != http.StatusNotModified
}

// refuseDirectives lets must-understand override no-store: the no-store beside
// it is there for caches that do not know must-understand (RFC 9111 §5.2.2.3).
func (p *Policy) refuseDirectives(_ *Exchange, s *Stored) Reason {
	switch {
	case s.Has(NoStore) && !s.Has(MustUnderstand):
		return ReasonNoStore
	case s.Has(Private):
		return ReasonPrivate
	}
	return OK
}

func (p *Policy) refuseFields(x *Exchange, s *Stored) Reason {
	switch {
	case (x.Cookies || len(x.Response["Set-Cookie"]) > 0) && !p.DangerouslyAllowSetCookie && !s.withholds("Set-Cookie"):
		return ReasonSetCookie
	case len(x.Response["Trailer"]) > 0:
		return ReasonTrailer
	case !isCanonical(x.Response): // "set-cookie" would have been overlooked
		return ReasonFieldName
	}
	return OK
}

func (p *Policy) refuseVary(_ *Exchange, s *Stored) Reason {
	switch {
	case s.Vary.Any:
		return ReasonVaryAny
	case s.Vary.Invalid:
		return ReasonVaryInvalid
	case !p.DangerouslyAllowCookies && s.Vary.On("Cookie"):
		return ReasonVaryCookie
	case !p.DangerouslyIgnoreAuthorization && s.Vary.On("Authorization"):
		return ReasonVaryAuth
	}
	return OK
}

// refuseLifetime is the last item of RFC 9111 §3, and keeps out what could
// never be used: without lifetime, stale window and validator.
func (p *Policy) refuseLifetime(_ *Exchange, s *Stored) Reason {
	if s.Source == NoLifetime && !s.Has(Public) && !HeuristicallyCacheable(s.Status) {
		return ReasonNoLifetime
	}
	if s.Reusable() > 0 || s.HasValidator() {
		return OK
	}
	if s.Source == NoLifetime {
		return ReasonNoLifetime
	}
	return ReasonUseless
}
