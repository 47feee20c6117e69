package ginlock_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/ginlock"
)

func cachedRouter(tb testing.TB) *gin.Engine {
	router := gin.New()
	router.GET("/orders/:id", ginlock.Middleware(caching(tb)), func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	return router
}

func BenchmarkCachedHit(b *testing.B) { guardtest.BenchmarkHit(b, cachedRouter(b), "/orders/42") }
