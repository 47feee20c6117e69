package ginlock_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/ginlock"
)

func BenchmarkCachedHit(b *testing.B) {
	router := gin.New()
	router.GET("/orders/:id", ginlock.Middleware(caching(b)), func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	guardtest.BenchmarkHit(b, router, "/orders/42")
}
