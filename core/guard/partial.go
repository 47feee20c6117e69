package guard

import (
	"context"
	"errors"
	"net/http"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// partial reports a request whose own answer is of no use to the store: a HEAD,
// or a part of the content.
func partial(r *http.Request) bool {
	return r.Method == http.MethodHead || len(r.Header["Range"]) > 0
}

// errForward ends a lookup that has to be answered by the handler alone.
var errForward = errors.New("guard: to be answered by the handler")

// peek is the lookup of a partial request.
func (x *exchange) peek() (cache.Result[*response], error) {
	if done, res, err := x.obey(); done {
		return res, err
	}
	x.old, x.found = x.selected()
	switch {
	case x.found && x.old.State == cache.Fresh && !x.wishes.NoCache:
		return x.old, nil
	case x.found:
		x.fwd = rfc9111.FwdStale
	}
	return x.old, errForward
}

// alone runs the handler for this request and nobody else.
func (x *exchange) alone() error {
	run := x.unaided
	if x.found && (x.r.Method == http.MethodHead || x.covers()) {
		run = x.beside
	}
	switch {
	case x.Fresh > 0:
		return run(x.w, x.r)
	case x.covers() && x.old.Value.late(x.old.Age) < x.old.Value.meta.WhileRevalidate:
		return x.orLast(run)
	}
	return x.serialize(x.w, x.r, x.names.lock, run)
}

func (x *exchange) unaided(w http.ResponseWriter, r *http.Request) error {
	return x.forward(w, r, x.fwd, rfc9111.OK, x.next)
}

// beside runs next beside the stored response that the request selects: that stands
// in for a failure (RFC 5861 §4), and learns from what answers a HEAD.
func (x *exchange) beside(w http.ResponseWriter, r *http.Request) error {
	rec, writer := newRecorder(w, r, x.MaxBody)
	said := head{begun: x.now()}
	rec.onLive = func() {
		if said.header = rec.sent; said.header != nil { // nil: the connection was taken over
			rec.sent = said.header.Clone()
			x.addStatus(rec.sent, rfc9111.CacheStatus{Fwd: x.fwd})
		}
	}
	aborted, err := rec.attempt(x.next, writer, r, x.covers())
	unanswered := !aborted && rec.unanswered(r.Context(), err)
	if unanswered {
		rec.status = httpStatus(err)
	} else {
		rec.failing(err)
	}
	if aborted || !rec.live && rec.failed(r.Method) {
		if x.standIn(w, errFailed) {
			return nil
		}
	}
	switch {
	case aborted:
		panic(http.ErrAbortHandler)
	case unanswered:
		addHeader(w.Header(), rec.header)
		return err
	}
	rec.finish()
	if !rec.live {
		said.header = rec.sent
	}
	said.status, said.cookies = rec.status, x.cookiesGoWith(rec)
	x.learn(&said)
	rec.goLive()
	return err
}

// failed reports what a stored response may stand in for.
func (rec *recorder) failed(method string) bool {
	return serverError(rec.status) || method != http.MethodHead && rec.cutShort()
}

// covers reports whether the stored response may stand in for a failure.
func (x *exchange) covers() bool { return x.found && !x.wishes.NoCache && x.standsIn(x.old) }

// errFailed is why a stored response is served to a partial request.
var errFailed = errors.New("guard: the handler failed")

// standIn answers with the stored response in place of a failure, if that may be
// still: a purge may have come in between.
func (x *exchange) standIn(w http.ResponseWriter, why error) bool {
	if !x.covers() {
		return false
	}
	res, ok := x.cache.Peek(context.WithoutCancel(x.r.Context()), x.name)
	if !ok || !res.Value.serves(x.r) || !x.standsIn(res) {
		return false
	}
	res.State, res.Err = cache.Stale, why
	x.deliver(w, x.r, &res, x.fwd)
	return true
}

// orLast runs a partial request under the lock, or answers with the last response
// where that cannot be had, as every other request is answered.
func (x *exchange) orLast(run handler) error {
	lock, err := x.Locks.TryAcquire(x.r.Context(), x.names.lock, x.lockOptions...)
	switch {
	case err == nil:
		defer release(x.r.Context(), lock)
		return run(x.w, x.r.WithContext(lock.Context()))
	case errors.Is(err, core.ErrNotAcquired):
		x.deliver(x.w, x.r, &x.old, x.fwd)
		return nil
	case !unavailable(err):
	case x.OnUnavailable == FailOpen:
		return run(x.w, x.r)
	case x.standIn(x.w, err):
		return nil
	}
	return x.contended(x.w, x.r, x.refuseLock(x.r, err))
}
