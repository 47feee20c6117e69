package guard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/market-intel-brain/dlm/core"
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

	old   cache.Result[*response] // what a partial request has found stored
	found bool                    // old is there

	own      *response   // what next answered to this very request, its error included
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
	switch {
	case err != nil:
		return x.fail(err)
	case x.overdue(&res) && unavailable(res.Err):
		return x.fail(res.Err)
	case x.overdue(&res):
		return x.alone()
	}
	if x.own != nil && x.own == res.Value {
		return x.deliverFetched(&res)
	}
	x.deliver(x.w, x.r, &res, x.fwd)
	return nil
}

// overdue reports what the store has given in place of an error though it is only
// kept to be validated. Why it was given is for the caller to look into.
func (x *exchange) overdue(res *cache.Result[*response]) bool {
	return !x.ran && res.State == cache.Stale && res.Err != nil && !errors.Is(res.Err, core.ErrNotAcquired) && !x.standsIn(*res)
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
	return x.own.err
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
	x.name = string(other.meta.Vary.AppendVariant(append([]byte(x.name), 0), x.r))
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
	now := x.now()
	if ok {
		fresh := res.Value.meta.Freshness
		fresh.ReceivedAt = now.Add(-res.Age) // by this process' clock
		f = &fresh
	}
	switch x.wishes.Use(f, now) {
	case rfc9111.Serve:
		return true, res, nil
	case rfc9111.GatewayTimeout:
		return true, res, errOnlyIfCached
	case rfc9111.Forward:
		x.insist(f, now)
	}
	return false, res, nil
}

// insist has the handler asked in spite of what is stored. Where nothing of that can
// be used anyhow, whatever another request gets is as new as what this one would.
func (x *exchange) insist(f *rfc9111.Freshness, now time.Time) {
	if f == nil || f.State(now) == rfc9111.Expired {
		return
	}
	x.wishes.NoCache = true
	if f.State(now) == rfc9111.Fresh {
		x.fwd = rfc9111.FwdRequest
	}
}

// fetch runs the handler for this request.
func (x *exchange) fetch(ctx context.Context) (*response, error) {
	x.leave()
	x.ran = true
	rec := &recorded{request: x.r, names: x.names, name: x.name, fwd: x.fwd}
	resp, err := x.run(ctx, x.w, rec, x.next)
	x.fwd = rec.fwd
	if resp != nil {
		x.own, x.personal = resp, resp.takePersonal()
	}
	return resp, err
}

// fail answers a request that got no response from the cache.
func (x *exchange) fail(err error) error {
	var (
		unusable *unusableError
		panicked *cache.PanicError
	)
	switch {
	case errors.Is(err, errForward):
		return x.alone()
	case errors.Is(err, errOnlyIfCached):
		return &Refusal{Status: http.StatusGatewayTimeout, Err: err}
	case errors.As(err, &unusable) && x.ran:
		x.deliverOwn(x.w, x.r, unusable.resp, rfc9111.CacheStatus{Fwd: rfc9111.FwdStale})
		return x.own.err
	case errors.Is(err, errAborted) && x.ran: // what could have stood in is gone by now
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
