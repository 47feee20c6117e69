package guard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// handler is what an adapter gives to Serve.
type handler = func(http.ResponseWriter, *http.Request) error

// cached answers r from the store, or by next, whose response is stored if it
// may be.
func (g *Guard) cached(w http.ResponseWriter, r *http.Request, n names, next handler) error {
	if reason := g.bypass(r); reason != rfc9111.OK {
		return g.around(w, r, reason, next)
	}
	x := &exchange{Guard: g, w: w, r: r, names: n, next: next, wishes: g.wishes(r), fwd: rfc9111.FwdURIMiss}
	x.name = string(g.appendValueName(nil, n.key, r))
	return x.answer()
}

// bypass says why the store has no part in the answer to r.
func (g *Guard) bypass(r *http.Request) rfc9111.Reason {
	if reason := g.policy.Bypass(r.Method, r.Header); reason != rfc9111.OK {
		return reason
	}
	switch {
	case r.ContentLength != 0:
		return reasonBody
	case overridesMethod(r.Header):
		return reasonOverride
	case g.policy.ObeyClient && rfc9111.ParseRequest(r.Header).NoStore:
		return rfc9111.ReasonClientNoStore
	case len(r.Header["Upgrade"]) > 0:
		return reasonIncomplete
	case rfc9111.WithdrawsField(r.Header):
		return reasonConnection
	}
	return rfc9111.OK
}

// overridesMethod knows the fields some frameworks take for the method, by
// which a GET could be made to answer as something else.
func overridesMethod(h http.Header) bool {
	return len(h["X-Http-Method-Override"]) > 0 || len(h["X-Http-Method"]) > 0 || len(h["X-Method-Override"]) > 0
}

func (g *Guard) wishes(r *http.Request) (d rfc9111.RequestDirectives) {
	if g.policy.ObeyClient {
		d = rfc9111.ParseRequest(r.Header)
	}
	return d
}

// exchange is one request on its way through the cache.
type exchange struct {
	*Guard
	w      http.ResponseWriter
	r      *http.Request
	names  names
	next   handler
	wishes rfc9111.RequestDirectives
	name   string      // of the stored response
	fwd    rfc9111.Fwd // why next runs, if it does

	own      *response   // what next answered to this very request
	ownErr   error       // what next returned
	personal http.Header // fields of own for this client alone
	ran      bool        // next has begun
	entered  bool        // in the queue
}

// answer serves what is stored under the name of the target; where that is
// another variant than r selects, what is stored under the name of the variant.
func (x *exchange) answer() error {
	res, err := x.lookup()
	if err == nil && !x.ran && !res.Value.serves(x.r) {
		x.turnTo(res.Value)
		res, err = x.lookup()
		if err == nil && !x.ran && !res.Value.serves(x.r) {
			return x.alone()
		}
	}
	if err != nil {
		return x.fail(err)
	}
	if x.own != nil && x.own == res.Value {
		return x.deliverFetched(&res)
	}
	x.deliver(x.w, x.r, &res, x.fwd)
	return nil
}

// deliverFetched answers with what next answered. A response that may be stored
// is answered from as if it had been, conditions and ranges included; only its
// own client gets the fields that may not be (RFC 9111 §5.2.2.4, §5.2.2.7).
func (x *exchange) deliverFetched(res *cache.Result[*response]) error {
	if x.own.header == nil {
		x.deliverOwn(x.w, x.r, x.own, rfc9111.CacheStatus{Fwd: x.fwd, Collapsed: x.inVain(res.Waited)})
	} else {
		addHeader(x.w.Header(), x.personal)
		x.deliver(x.w, x.r, res, x.fwd)
	}
	return x.ownErr
}

func (x *exchange) lookup() (cache.Result[*response], error) {
	if partial(x.r) {
		return x.peek()
	}
	if done, res, err := x.obey(); done {
		return res, err
	}
	if !x.queue.enter(x.names.lock) {
		return cache.Result[*response]{}, ErrQueueFull
	}
	x.entered = true
	defer x.leave()
	return x.cache.Do(x.r.Context(), cache.Call[*response]{
		Key: x.name, Lock: x.lockOf(), Inline: true, Fetch: x.fetch, Background: x.background(),
		Wait: x.Wait, Force: x.wishes.NoCache,
	})
}

// lockOf is the Guard's own lock where its handlers exclude each other; where
// they only should not all do the same work, every response has its own.
func (x *exchange) lockOf() string {
	if x.Fresh == 0 {
		return x.names.lock
	}
	return ""
}

// leave gives the place in the queue back once there is nothing to wait for.
func (x *exchange) leave() {
	if x.entered {
		x.entered = false
		x.queue.leave(x.names.lock)
	}
}

// partial reports a request whose own answer is of no use to the store: a HEAD,
// or a part of the content.
func partial(r *http.Request) bool {
	return r.Method == http.MethodHead || len(r.Header["Range"]) > 0
}

// storable reports whether the answer to r may be of use to others.
func (g *Guard) storable(r *http.Request) bool { return !partial(r) && g.bypass(r) == rfc9111.OK }

// errForward ends a lookup that has to be answered by the handler alone.
var errForward = errors.New("guard: to be answered by the handler")

// peek is the lookup of a partial request.
func (x *exchange) peek() (cache.Result[*response], error) {
	if done, res, err := x.obey(); done {
		return res, err
	}
	res, ok := x.selected()
	switch {
	case ok && res.State == cache.Fresh && !x.wishes.NoCache:
		return res, nil
	case ok:
		x.fwd = rfc9111.FwdStale
	}
	return res, errForward
}

// selected is the stored response that x.r selects among the variants.
func (x *exchange) selected() (cache.Result[*response], bool) {
	res, ok := x.cache.Peek(x.r.Context(), x.name)
	if !ok || res.Value.serves(x.r) {
		return res, ok
	}
	x.turnTo(res.Value)
	res, ok = x.cache.Peek(x.r.Context(), x.name)
	return res, ok && res.Value.serves(x.r)
}

// turnTo names the variant that x.r selects where other is stored.
func (x *exchange) turnTo(other *response) {
	x.name = string(other.meta.Vary.AppendVariant(append([]byte(x.name), 0), x.r, nil))
	x.fwd = rfc9111.FwdVaryMiss
}

// errOnlyIfCached ends a request that forbade to ask the handler.
var errOnlyIfCached = errors.New("guard: only-if-cached, and nothing is")

// obey decides about stored responses as the client asked (RFC 9111 §5.2.1).
func (x *exchange) obey() (done bool, res cache.Result[*response], err error) {
	if x.wishes == (rfc9111.RequestDirectives{}) {
		return false, res, nil
	}
	res, ok := x.selected()
	var f *rfc9111.Freshness
	if ok {
		fresh := res.Value.meta.Freshness
		fresh.ReceivedAt = time.Now().Add(-res.Age) // by this process' clock
		f = &fresh
	}
	switch x.wishes.Use(f, time.Now()) {
	case rfc9111.Serve:
		return true, res, nil
	case rfc9111.GatewayTimeout:
		return true, res, errOnlyIfCached
	case rfc9111.Forward:
		if x.wishes.NoCache = true; f != nil && f.State(time.Now()) == rfc9111.Fresh {
			x.fwd = rfc9111.FwdRequest
		}
	}
	return false, res, nil
}

// fetch runs the handler for this request.
func (x *exchange) fetch(ctx context.Context) (*response, error) {
	x.leave()
	x.ran = true
	rec := &recorded{request: x.r, names: x.names, name: x.name, fwd: x.fwd}
	resp, err := x.run(ctx, x.w, rec, x.next)
	x.fwd = rec.fwd
	if resp != nil {
		x.own, x.ownErr, x.personal = resp, resp.err, resp.takePersonal()
	}
	return resp, err
}

// fail answers a request that got no response from the cache.
func (x *exchange) fail(err error) error {
	var (
		unusable *unusableError
		panicked *cache.PanicError
		aborted  abortedError
	)
	switch {
	case errors.Is(err, errForward):
		return x.alone()
	case errors.Is(err, errOnlyIfCached):
		return &Refusal{Status: http.StatusGatewayTimeout, Err: err}
	case errors.As(err, &unusable) && x.ran:
		x.deliverOwn(x.w, x.r, unusable.resp, rfc9111.CacheStatus{Fwd: rfc9111.FwdStale})
		return x.ownErr
	case errors.As(err, &aborted) && x.ran: // what could have stood in is gone by now
		panic(http.ErrAbortHandler)
	case x.ran:
		return err
	case errors.As(err, &panicked): // logged where it was raised
		return &Refusal{Status: http.StatusInternalServerError, Err: err}
	case errors.Is(err, cache.ErrClosed):
		return &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: retrySoon, Err: err}
	}
	return x.contended(x.w, x.r, x.refuseLock(x.r, err))
}

// alone runs the handler for this request and nobody else.
func (x *exchange) alone() error {
	next := x.comparing(x.next)
	if x.Fresh == 0 {
		return x.serialize(x.w, x.r, x.names.lock, next)
	}
	return x.forward(x.w, x.r, x.fwd, rfc9111.OK, next)
}

// unusableError is a server error that a stale response may stand in for
// (RFC 5861 §4).
type unusableError struct{ resp *response }

func (e *unusableError) Error() string {
	return "guard: the handler answered " + http.StatusText(e.resp.status)
}

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
		tie.slip(g.hitForMiss(rec.status))
	}
	x.begun = time.Now()
	aborted, handlerErr := rec.attempt(g.toldOf(next, rec), writer, req, stored && g.standsIn(old))
	if aborted {
		return nil, abortedError{}
	}
	resp := g.settle(ctx, rec, x, asked)
	resp.err = handlerErr
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
	x.status, x.header, x.body, x.received = rec.status, rec.sent, rec.body, time.Now()
	switch {
	case !x.complete || x.status != http.StatusNotModified:
	case old != nil:
		g.validate(ctx, x, old)
	case !conditional(x.request): // a client without a copy has no use for it
		x.status, x.header = http.StatusBadGateway, http.Header{}
	}
	resp := g.judge(x)
	resp.live = rec.live
	return resp
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
	meta := &old.Value.meta
	late := meta.InitialAge + old.Age - meta.Lifetime
	return late < max(meta.IfError, meta.WhileRevalidate)
}
