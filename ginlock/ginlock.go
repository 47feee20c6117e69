package ginlock

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core/guard"
)

// Middleware returns g as a middleware for router.Use, group.Use or a route's
// own chain. A request that g answers by itself aborts the chain.
func Middleware(g *guard.Guard) gin.HandlerFunc { return Wrap(g, (*gin.Context).Next) }

// Wrap returns h behind g. A request that g answers by itself aborts the chain. A
// refusal is answered, and stands in c.Errors as a [guard.Refusal]: a private error,
// as it may name the key.
//
// A handler that leaves an error in c.Errors and writes no content has not answered:
// middleware in front of g can, as without it, but to this client alone. The same goes
// for one that hands over with [gin.Engine.HandleContext]; guard the route it goes to.
func Wrap(g *guard.Guard, h gin.HandlerFunc) gin.HandlerFunc {
	switch {
	case g == nil:
		panic("ginlock: nil *guard.Guard")
	case h == nil:
		panic("ginlock: nil gin.HandlerFunc")
	}
	return func(c *gin.Context) {
		r := request(c)
		if g.Hit(c.Writer, r) || !serve(g, c, r, h) {
			c.Writer.WriteHeaderNow()
			c.Abort()
		}
	}
}

// serve reports whether h ran.
func serve(g *guard.Guard, c *gin.Context, r *guard.Routed, h gin.HandlerFunc) (ran bool) {
	err := g.ServeRouted(c.Writer, r, func(w http.ResponseWriter, r *http.Request) error {
		ran = true
		return run(c, w, r, h)
	})
	if err != nil && !leave(c, err) {
		_ = c.Error(err)
		guard.WriteRefusal(c.Writer, err)
	}
	return ran
}

// KeyFunc makes a key function of one that reads the [gin.Context]. It fails
// where no adapter of this package is on the way.
func KeyFunc(key func(*gin.Context) (string, error)) func(*http.Request) (string, error) {
	wanted.Store(true)
	return func(r *http.Request) (string, error) {
		c, ok := r.Context().Value(contextKey{}).(*gin.Context)
		if !ok {
			return "", errNoContext{}
		}
		return key(c)
	}
}

// run lends c to h with the writer and the request of the guard.
func run(c *gin.Context, w http.ResponseWriter, r *http.Request, h gin.HandlerFunc) error {
	outer, request, errs := c.Writer, c.Request, len(c.Errors)
	defer func() { c.Writer, c.Request = outer, request }()
	c.Request = r
	if w == http.ResponseWriter(outer) {
		h(c)
		return nil
	}
	inner := newWriter(r.Context(), w, outer.Status())
	c.Writer = inner
	h(c)
	return outcome(c, inner, outer, errs)
}

type contextKey struct{}

// wanted says that there is a key function that asks for the gin.Context. No
// other code can.
var wanted atomic.Bool

// request is the request with its route, as the guard reads it.
func request(c *gin.Context) *guard.Routed {
	ctx := c.Request.Context()
	if wanted.Load() {
		ctx = context.WithValue(ctx, contextKey{}, c)
	}
	r := guard.NewRouted(ctx, c.Request, c.FullPath())
	escaped := isEscaped(c)
	for _, p := range c.Params {
		r.SetPathValue(p.Key, param(c, p, escaped))
	}
	return r
}

// param is a value as every other router gives it: without the slash gin leaves
// before a catch-all, and decoded.
func param(c *gin.Context, p gin.Param, escaped bool) string {
	value := p.Value
	if isCatchAll(c.FullPath(), p.Key) {
		value = strings.TrimPrefix(value, "/")
	}
	if escaped {
		if decoded, err := url.PathUnescape(value); err == nil {
			return decoded
		}
	}
	return value
}

// isEscaped reports an engine that matches the escaped path and, without
// UnescapePathValues, leaves the values as they came. Only the values tell: all
// together, as a client can have the decoded path hold any one of them.
func isEscaped(c *gin.Context) bool {
	u := c.Request.URL
	return !hasInOrder(u.Path, c.Params) && hasInOrder(u.EscapedPath(), c.Params)
}

func hasInOrder(path string, params gin.Params) bool {
	for _, p := range params {
		i := strings.Index(path, p.Value)
		if i < 0 {
			return false
		}
		path = path[i+len(p.Value):]
	}
	return true
}

// isCatchAll reports whether the route ends in /*name.
func isCatchAll(route, name string) bool {
	before, ok := strings.CutSuffix(route, name)
	return ok && strings.HasSuffix(before, "/*")
}

type errNoContext struct{}

func (errNoContext) Error() string {
	return "ginlock: KeyFunc needs the gin.Context: put the guard in place with ginlock.Middleware or ginlock.Wrap"
}
func (errNoContext) HTTPStatus() int { return http.StatusInternalServerError }
