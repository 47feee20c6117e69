package guard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"sync/atomic"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// A refresh in the background runs after its request is over, when frameworks
// have taken back what belongs to them: gin and echo their contexts, chi the
// route parameters it keeps in the request's context. So it is a request of its
// own: a copy of the one that found the response stale, as the server received
// it, sent through the server's handler once more. Every router and middleware
// on the way sets up what it has to, and when the copy arrives at the Guard,
// Serve finds the refresh in its context and lets the handler run for it.

// refresh is one such run. It ends with the handler, also where a middleware such
// as [http.TimeoutHandler] answers without waiting for it: the lock and the place
// among the refreshes are the handler's until then.
type refresh struct {
	guard *Guard
	name  string
	cause context.Context // of the request that found the response stale; it may be over, its values remain

	begun atomic.Bool   // set by whoever decides what comes of the run
	done  chan struct{} // closed at the end of a run that has begun
	resp  *response     // set before done closes
	err   error         // likewise
}

// begin reports whether the handler may run, which is true once. The request of a
// handler that asks for its own route is one like any other, and so is one that
// comes when nobody waits for it any more; its context has ended.
func (run *refresh) begin() bool { return run.begun.CompareAndSwap(false, true) }

// result is what came of a run whose request has been answered.
func (run *refresh) result() (*response, error) {
	if run.begin() {
		return nil, errAstray
	}
	<-run.done
	return run.resp, run.err
}

type refreshKey struct{}

// IsRefresh reports whether a request is a Guard's own, made to refresh a stale
// response in the background. Middleware that counts, limits or logs clients
// may want to let it pass.
func IsRefresh(ctx context.Context) bool {
	_, ok := ctx.Value(refreshKey{}).(*refresh)
	return ok
}

var errAstray = errors.New("guard: the background refresh did not arrive: some middleware answered it, or sent it elsewhere")

var errPanicked = errors.New("guard: the handler of the background refresh panicked")

// background returns the run for cache.Call.Background, or nil where the
// request is none of an http.Server, as with httptest.ResponseRecorder: a
// client then refreshes in the foreground.
func (x *exchange) background() func(context.Context) (*response, error) {
	server, ok := x.r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || x.Fresh == 0 {
		return nil
	}
	addr, _ := x.r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	again := asReceived(x.r)
	if again == nil {
		return nil
	}
	g, name := x.Guard, x.name
	return func(ctx context.Context) (*response, error) {
		run := &refresh{guard: g, name: name, cause: ctx, done: make(chan struct{})}
		handler := server.Handler
		if handler == nil {
			handler = http.DefaultServeMux
		}
		handler.ServeHTTP(nowhere{http.Header{}}, again.WithContext(refreshContext{ctx, run, server, addr}))
		return run.result()
	}
}

// asReceived copies r as the server received it, whatever the middleware on the
// way made of it. A copy made in time: r must not be touched once its request is
// over.
func asReceived(r *http.Request) *http.Request {
	target := *r.URL
	if r.RequestURI != "" {
		u, err := url.ParseRequestURI(r.RequestURI)
		if err != nil {
			return nil
		}
		target = *u
	}
	return &http.Request{
		Method: r.Method, URL: &target, RequestURI: r.RequestURI, Host: r.Host, RemoteAddr: r.RemoteAddr,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: r.Header.Clone(), Body: http.NoBody, TLS: r.TLS,
	}
}

// refreshContext ends with the refresh and has none of the values of the request
// that caused it, save for what a server puts into every request's, and the lock.
type refreshContext struct {
	context.Context
	run    *refresh
	server *http.Server
	addr   net.Addr
}

var corePackage = reflect.TypeFor[core.Lock]().PkgPath()

func (c refreshContext) Value(key any) any {
	switch key {
	case refreshKey{}:
		return c.run
	case http.ServerContextKey:
		return c.server
	case http.LocalAddrContextKey:
		return c.addr
	}
	if t := reflect.TypeOf(key); t != nil && t.PkgPath() == corePackage {
		return c.Context.Value(key)
	}
	return nil
}

// nowhere is the writer of a run that no client waits for. As a server's own it can be
// flushed, which frameworks take for granted.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Flush()                      {}

// arrived runs next for the refresh that r is, if it is one of this Guard's.
func (g *Guard) arrived(w http.ResponseWriter, r *http.Request, n names, next handler) (bool, error) {
	run, ok := r.Context().Value(refreshKey{}).(*refresh)
	if !ok || run.guard != g || !g.isNamed(run.name, n, r) || !run.begin() {
		return false, nil
	}
	run.err = errPanicked // unless it returns
	defer close(run.done)
	resp, err := g.run(r.Context(), w, &recorded{request: r, names: n, name: run.name, fwd: rfc9111.FwdStale, behind: true}, next)
	switch {
	case resp == nil:
	case resp.reason == reasonUnanswered:
		resp, err = nil, errUnanswered
	default:
		resp.takePersonal() // there is no client to have it
	}
	run.resp, run.err = resp, err
	return true, nil
}

// isNamed reports whether r asks for the response of that name, or a variant.
func (g *Guard) isNamed(name string, n names, r *http.Request) bool {
	target := string(g.appendValueName(nil, n.key, r))
	return len(name) >= len(target) && name[:len(target)] == target
}
