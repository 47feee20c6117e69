package ginlock_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/ginlock"
)

// reused is a writer whose header map lives on, so that only what is done for
// the response is counted.
type reused struct{ header http.Header }

func (w reused) Header() http.Header         { return w.header }
func (w reused) Write(p []byte) (int, error) { return len(p), nil }
func (w reused) WriteHeader(int)             {}

func BenchmarkCachedHit(b *testing.B) {
	router := gin.New()
	router.GET("/orders/:id", ginlock.Middleware(caching(b)), func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	r := httptest.NewRequest(http.MethodGet, "/orders/42", nil)
	w := reused{http.Header{}}
	router.ServeHTTP(w, r)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		router.ServeHTTP(w, r)
	}
	require.Contains(b, w.header.Get("Cache-Status"), "hit")
}
