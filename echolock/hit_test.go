package echolock_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/echolock"
)

// cachedApp wraps its handler: of a route's middleware echo makes the handler
// anew for every request.
func cachedApp(tb testing.TB) *echo.Echo {
	e := echo.New()
	g := guarding(tb, guard.Config{Key: byOrder, Fresh: time.Hour})
	e.GET("/orders/:id", echolock.Wrap(g, func(c echo.Context) error { return c.String(http.StatusOK, "hello") }))
	return e
}

func BenchmarkCachedHit(b *testing.B) { guardtest.BenchmarkHit(b, cachedApp(b), "/orders/42") }
