package guard

import (
	"context"
	"net/http"
	"net/url"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// around runs next without the store, on the client's own writer. What a
// successful unsafe request has changed is purged before the client hears of it.
func (g *Guard) around(w http.ResponseWriter, r *http.Request, reason rfc9111.Reason, next handler) error {
	if isGet := methodClass(r.Method) == http.MethodGet; isGet && g.wishes(r).OnlyIfCached {
		return &Refusal{Status: http.StatusGatewayTimeout, Err: errOnlyIfCached}
	}
	fwd := rfc9111.FwdBypass
	if reason == rfc9111.ReasonMethod {
		fwd, next = rfc9111.FwdMethod, g.invalidating(next)
	}
	return g.forward(w, r, fwd, reason, next)
}

// forward runs next and says why, behind what caches nearer to the origin have said
// (RFC 9211 §2).
func (g *Guard) forward(w http.ResponseWriter, r *http.Request, fwd rfc9111.Fwd, reason rfc9111.Reason, next handler) error {
	return watched(w, r, next, func(_ int, h http.Header) {
		g.addStatus(h, rfc9111.CacheStatus{Fwd: fwd, Detail: string(reason)})
	})
}

// invalidating is next for a method that may change what is stored.
func (g *Guard) invalidating(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return watched(w, r, next, func(status int, h http.Header) { g.invalidate(r, status, h) })
	}
}

// invalidate purges what RFC 9111 §4.4 says an unsafe request has made invalid.
func (g *Guard) invalidate(r *http.Request, status int, h http.Header) {
	target := *targetOf(r)
	target.Scheme, target.Host = "http", r.Host
	if r.TLS != nil {
		target.Scheme = "https"
	}
	var tags []string
	for _, uri := range rfc9111.Invalidates(r.Method, &target, status, h) {
		tags = append(tags, g.uriTag(uri))
	}
	if len(tags) == 0 {
		return
	}
	if err := g.cache.InvalidateTag(context.WithoutCancel(r.Context()), tags...); err != nil {
		g.Logger.Warn("dlm: stored responses not purged after an unsafe request", "method", r.Method, "route", r.Pattern, "err", err)
	}
}

func (g *Guard) uriTag(u *url.URL) string { return g.resourceTag(u.Host, u.EscapedPath(), u.RawQuery) }
