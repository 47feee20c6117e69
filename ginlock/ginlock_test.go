package ginlock_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/ginlock"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestGin(t *testing.T) {
	guardtest.Run(t, guardtest.Adapter{Literal: true, App: func(routes []guardtest.Route) http.Handler {
		engine := gin.New()
		for _, r := range routes {
			handler := func(c *gin.Context) { r.Handler(c.Writer, c.Request) }
			if r.Chain {
				engine.Handle(r.Method, r.Colon(), ginlock.Middleware(r.Guard), handler)
			} else {
				engine.Handle(r.Method, r.Colon(), ginlock.Wrap(r.Guard, handler))
			}
		}
		return engine
	}}, coretest.Redis(t, 3).URLs())
}
