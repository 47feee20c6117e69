package echolock

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core/guard"
)

// Middleware returns g as a middleware for e.Use, group.Use or a route. Under
// e.Pre there is no route yet, so that keys cannot name route parameters.
func Middleware(g *guard.Guard) echo.MiddlewareFunc {
	mustGuard(g)
	return func(next echo.HandlerFunc) echo.HandlerFunc { return Wrap(g, next) }
}

// Wrap returns h behind g. A refusal is an [echo.HTTPError] for the
// application's HTTPErrorHandler, with a [guard.Refusal] inside; an error of h
// goes there as well.
//
// Where a response may be shared, the error of h is rendered at once. Middleware that
// makes other errors of errors has to stand behind g to be heard, or be the
// HTTPErrorHandler's. In front of g take middleware.ContextTimeout: middleware.Timeout
// answers an error that has been rendered with an empty body.
func Wrap(g *guard.Guard, h echo.HandlerFunc) echo.HandlerFunc {
	mustGuard(g)
	if h == nil {
		panic("echolock: nil echo.HandlerFunc")
	}
	return func(c echo.Context) error {
		r := request(c)
		if g.Hit(c.Response(), r) {
			return nil
		}
		return serve(g, c, r, h)
	}
}

func serve(g *guard.Guard, c echo.Context, r *guard.Routed, h echo.HandlerFunc) error {
	err := g.ServeRouted(c.Response(), r, func(w http.ResponseWriter, r *http.Request) error {
		return run(c, w, r, h)
	})
	return httpError(c, timedOut(c, err))
}

// timedOut lets middleware that has set a deadline find it in the error. The context
// of a handler whose response may be shared ends for more reasons than that, and does
// not say so.
func timedOut(c echo.Context, err error) error {
	if over := c.Request().Context().Err(); over != nil && errors.Is(err, context.Canceled) {
		return errors.Join(err, over)
	}
	return err
}

// KeyFunc makes a key function of one that reads the [echo.Context]. It fails
// where no adapter of this package is on the way.
func KeyFunc(key func(echo.Context) (string, error)) func(*http.Request) (string, error) {
	wanted.Store(true)
	return func(r *http.Request) (string, error) {
		c, ok := r.Context().Value(contextKey{}).(echo.Context)
		if !ok {
			return "", errNoContext{}
		}
		return key(c)
	}
}

// run lends c to h with the writer and the request of the guard. A response
// that is captured gets an echo.Response of its own, so that the outer one is
// committed, and its hooks run, when the client is answered; and an error is
// rendered into it, because what it says may be all that other clients get. An
// error at the end of the context is for middleware with timeouts to render.
func run(c echo.Context, w http.ResponseWriter, r *http.Request, h echo.HandlerFunc) error {
	outer, request := c.Response(), c.Request()
	defer func() {
		c.SetResponse(outer)
		c.SetRequest(request)
	}()
	c.SetRequest(r)
	if w == http.ResponseWriter(outer) {
		return h(c)
	}
	c.SetResponse(echo.NewResponse(w, c.Echo()))
	err := h(c)
	if err != nil && (c.Response().Committed || r.Context().Err() == nil) {
		c.Error(err)
	}
	return err
}

type contextKey struct{}

// wanted says that there is a key function that asks for the echo.Context. No
// other code can.
var wanted atomic.Bool

// request is the request with its route, as the guard reads it.
func request(c echo.Context) *guard.Routed {
	ctx, u := c.Request().Context(), c.Request().URL
	if wanted.Load() {
		ctx = context.WithValue(ctx, contextKey{}, c)
	}
	r := guard.NewRouted(ctx, c.Request(), c.Path())
	values := c.ParamValues()
	for i, name := range c.ParamNames() {
		r.SetPathValue(name, param(u, values[i]))
	}
	return r
}

// param is a value as every other router gives it. Where the path came with an
// escaped form of its own echo matches on that one and leaves the values as
// they were, so that /orders/42 would be locked under another key than
// /orders/4%32.
func param(u *url.URL, value string) string {
	if u.RawPath == "" {
		return value
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	return decoded
}

// httpError is what echo's error handlers understand.
func httpError(c echo.Context, err error) error {
	var refusal *guard.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	refusal.SetRetryAfter(c.Response().Header())
	return echo.NewHTTPError(refusal.Status, http.StatusText(refusal.Status)).SetInternal(err)
}

type errNoContext struct{}

func (errNoContext) Error() string {
	return "echolock: KeyFunc needs the echo.Context: put the guard in place with echolock.Middleware or echolock.Wrap"
}
func (errNoContext) HTTPStatus() int { return http.StatusInternalServerError }

func mustGuard(g *guard.Guard) {
	if g == nil {
		panic("echolock: nil *guard.Guard")
	}
}
