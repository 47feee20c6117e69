package ginlock_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/ginlock"
)

// newGuard is a Guard on an embedded node; a real one has three or five servers.
func newGuard(key func(*http.Request) (string, error)) (*guard.Guard, func()) {
	nodes, err := coretest.StartEmbedded(1)
	if err != nil {
		panic(err)
	}
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	g, err := guard.New(guard.Config{Locks: locks, Key: key})
	if err != nil {
		panic(err)
	}
	return g, func() { _ = g.Close(); _ = locks.Close(); _ = nodes.Close() }
}

func byOrder(r *http.Request) (string, error) { return "order_" + r.PathValue("id"), nil }

func pay(c *gin.Context) {
	lock, _ := core.FromContext(c.Request.Context())
	c.JSON(http.StatusOK, gin.H{"order": c.Param("id"), "fenced": lock.FencingToken() > 0})
}

func post(h http.Handler, path string, header ...string) {
	r := httptest.NewRequest(http.MethodPost, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	fmt.Println(rec.Code, strings.TrimSpace(rec.Body.String()))
}

func ExampleMiddleware() {
	g, stop := newGuard(byOrder)
	defer stop()
	router := gin.New()
	router.POST("/orders/:id/pay", ginlock.Middleware(g), pay)
	post(router, "/orders/42/pay")
	// Output: 200 {"fenced":true,"order":"42"}
}

func ExampleWrap() {
	g, stop := newGuard(byOrder)
	defer stop()
	router := gin.New()
	router.POST("/orders/:id/pay", ginlock.Wrap(g, pay))
	post(router, "/orders/42/pay")
	// Output: 200 {"fenced":true,"order":"42"}
}

// What an earlier middleware has put into the gin.Context can be the key.
func ExampleKeyFunc() {
	g, stop := newGuard(ginlock.KeyFunc(func(c *gin.Context) (string, error) {
		tenant := c.GetString("tenant")
		if tenant == "" {
			return "", fmt.Errorf("no tenant")
		}
		return "tenant_" + tenant, nil
	}))
	defer stop()
	router := gin.New()
	router.Use(func(c *gin.Context) { c.Set("tenant", c.GetHeader("X-Tenant")) }, ginlock.Middleware(g))
	router.POST("/orders/:id/pay", func(c *gin.Context) { c.JSON(http.StatusOK, c.GetString("tenant")) })
	post(router, "/orders/42/pay", "X-Tenant", "acme")
	post(router, "/orders/42/pay")
	// Output:
	// 200 "acme"
	// 400 Bad Request
}
