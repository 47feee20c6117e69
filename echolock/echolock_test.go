package echolock_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/echolock"
)

var catchAll = regexp.MustCompile(`\*\w+`)

func TestEcho(t *testing.T) {
	guardtest.Run(t, guardtest.Adapter{Literal: true, App: func(routes []guardtest.Route) http.Handler {
		e := echo.New()
		for _, r := range routes {
			pattern := catchAll.ReplaceAllString(r.Colon(), "*")
			handler := func(c echo.Context) error {
				r.Handler(c.Response(), c.Request())
				return nil
			}
			if r.Chain {
				e.Add(r.Method, pattern, handler, echolock.Middleware(r.Guard))
			} else {
				e.Add(r.Method, pattern, echolock.Wrap(r.Guard, handler))
			}
		}
		return e
	}}, coretest.Redis(t, 3).URLs())
}
