package guard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// unusableError is a server error that a stale response may stand in for
// (RFC 5861 §4).
type unusableError struct{ resp *response }

func (e *unusableError) Error() string {
	return "guard: the handler answered " + http.StatusText(e.resp.status)
}

// errUnread ends a refresh that has begun to stream: its response is for nobody.
var errUnread = errors.New("guard: nobody reads the response of a background refresh")

// run records one run of the handler, as a validation of what is stored where
// that has a validator.
func (g *Guard) run(ctx context.Context, w http.ResponseWriter, x *recorded, next handler) (*response, error) {
	old, stored := g.prior(ctx, x)
	tie, ctx := newLeash(ctx, x.request.Context())
	defer tie.end()
	req := x.request.WithContext(ctx)
	asked := validatable(old.Value)
	req.Header = g.forwarded(x.request, asked)
	rec, writer := newRecorder(w, x.request, g.MaxBody)
	rec.onLive = func() {
		g.tellLive(rec, x.fwd, cache.Waited(ctx))
		g.spare(rec, x.request)
		tie.slip(g.hitForMiss(rec.status))
		if x.behind {
			tie.cancel(errUnread)
		}
	}
	x.begun = g.now()
	aborted, handlerErr := rec.attempt(g.toldOf(next, rec), writer, req, stored && g.standsIn(old))
	if aborted {
		return nil, errAborted
	}
	resp := rec.left(handlerErr)
	if !rec.unanswered(ctx, handlerErr) {
		rec.failing(handlerErr)
		x.cookies = g.cookiesGoWith(rec)
		resp = g.settle(ctx, rec, x, asked)
		resp.err = handlerErr
	}
	failed := serverError(resp.status) || resp.reason == reasonCutShort
	if stored && failed && !resp.live && g.standsIn(old) {
		return resp, &unusableError{resp}
	}
	return resp, nil
}

// prior is the stored response that a run is to replace. Another variant's is
// none: it neither validates this one nor stands in for it.
func (g *Guard) prior(ctx context.Context, x *recorded) (cache.Result[*response], bool) {
	old, ok := g.cache.Peek(ctx, x.name)
	if !ok {
		return old, false
	}
	fwd, serves := rfc9111.FwdStale, old.Value.serves(x.request)
	if !serves {
		fwd, old = rfc9111.FwdVaryMiss, cache.Result[*response]{}
	}
	if x.fwd != rfc9111.FwdRequest {
		x.fwd = fwd
	}
	return old, serves
}

// tellLive says of a response that goes out before it is whole what [Guard.deliverOwn]
// says of others. A connection that was taken over has no fields.
func (g *Guard) tellLive(rec *recorder, fwd rfc9111.Fwd, waited bool) {
	if rec.sent != nil {
		g.addStatus(rec.sent, rfc9111.CacheStatus{Fwd: fwd, Collapsed: g.inVain(waited), Detail: string(reasonIncomplete)})
	}
}

// spare answers a client that has what is about to go out to it. The handler was asked
// without the client's conditions: see forwarded.
func (g *Guard) spare(rec *recorder, r *http.Request) {
	if rec.sent == nil || !conditional(r) {
		return
	}
	meta := g.policy.Describe(rec.status, rfc9111.Canonical(rec.sent), time.Time{}, g.now())
	if meta.Evaluate(r.Header) == rfc9111.NotModified {
		rfc9111.SetNotModified(rec.sent)
		rec.status, rec.body = http.StatusNotModified, nil
	}
}

// validatable is old where the handler can be asked whether it still holds, else
// nil.
func validatable(old *response) *response {
	if old == nil || !old.meta.HasValidator() || old.status != http.StatusOK {
		return nil
	}
	return old
}

// forwarded are the request's fields for the handler: the conditions are the
// store's, not the client's, whose answer is made of what comes back.
func (g *Guard) forwarded(r *http.Request, old *response) http.Header {
	if old == nil {
		return (&rfc9111.Stored{}).Revalidation(r.Header)
	}
	validators := old.meta
	if !validators.LastModified.IsZero() && old.hasMadeTag() {
		validators.ETag = rfc9111.ETag{} // a handler that knows dates would answer it with everything
	}
	return validators.Revalidation(r.Header)
}

// settle makes a response of a recording; a 304 that confirms what is stored
// makes that new (RFC 9111 §4.3.4).
func (g *Guard) settle(ctx context.Context, rec *recorder, x *recorded, old *response) *response {
	x.complete = rec.finish()
	x.live = rec.live
	x.status, x.header, x.body, x.received = rec.status, rec.sent, rec.body, g.now()
	switch {
	case !x.complete || x.status != http.StatusNotModified:
	case old != nil:
		g.validate(ctx, x, old)
	case !conditional(x.request): // a client without a copy has no use for it
		x.status, x.header = http.StatusBadGateway, http.Header{}
	}
	return g.judge(x)
}

func conditional(r *http.Request) bool {
	return len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0
}

// validate merges a 304 into what it is about. One that is about something else
// answers neither the client nor the condition: the handler is at fault, and what
// is stored goes, so that the next request is made without a condition.
func (g *Guard) validate(ctx context.Context, x *recorded, old *response) {
	if old.meta.Confirms(x.header) {
		x.status, x.body = old.status, old.body
		x.header = rfc9111.Freshen(old.header, x.header)
		return
	}
	x.status, x.header = http.StatusBadGateway, http.Header{}
	if err := g.cache.Invalidate(context.WithoutCancel(ctx), x.name); err != nil {
		g.Logger.Warn("dlm: stored response not purged that the handler does not know", "route", x.request.Pattern, "err", err)
	}
}

func serverError(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// standsIn reports whether a stored response may be served in place of an error.
func (g *Guard) standsIn(old cache.Result[*response]) bool {
	r := old.Value
	return r.late(old.Age) < max(r.meta.IfError, r.meta.WhileRevalidate)
}
