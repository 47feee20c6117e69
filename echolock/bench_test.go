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

func BenchmarkCachedHit(b *testing.B) {
	e := echo.New()
	g := guarding(b, guard.Config{Key: byOrder, Fresh: time.Hour})
	e.GET("/orders/:id", echolock.Wrap(g, func(c echo.Context) error { return c.String(http.StatusOK, "hello") }))
	guardtest.BenchmarkHit(b, e, "/orders/42")
}
