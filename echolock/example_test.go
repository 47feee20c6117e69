package echolock_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
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

func pay(c echo.Context) error {
	lock, _ := core.FromContext(c.Request().Context())
	return c.JSON(http.StatusOK, echo.Map{"order": c.Param("id"), "fenced": lock.FencingToken() > 0})
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
	router := echo.New()
	router.POST("/orders/:id/pay", pay, echolock.Middleware(g))
	post(router, "/orders/42/pay")
	// Output: 200 {"fenced":true,"order":"42"}
}

func ExampleWrap() {
	g, stop := newGuard(byOrder)
	defer stop()
	router := echo.New()
	router.POST("/orders/:id/pay", echolock.Wrap(g, pay))
	post(router, "/orders/42/pay")
	// Output: 200 {"fenced":true,"order":"42"}
}

// What an earlier middleware has put into the echo.Context can be the key.
func ExampleKeyFunc() {
	g, stop := newGuard(echolock.KeyFunc(func(c echo.Context) (string, error) {
		tenant, _ := c.Get("tenant").(string)
		if tenant == "" {
			return "", fmt.Errorf("no tenant")
		}
		return "tenant_" + tenant, nil
	}))
	defer stop()
	router := echo.New()
	tenant := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("tenant", c.Request().Header.Get("X-Tenant"))
			return next(c)
		}
	}
	router.Use(tenant, echolock.Middleware(g))
	router.POST("/orders/:id/pay", func(c echo.Context) error { return c.JSON(http.StatusOK, c.Get("tenant")) })
	post(router, "/orders/42/pay", "X-Tenant", "acme")
	post(router, "/orders/42/pay")
	// Output:
	// 200 "acme"
	// 400 {"message":"Bad Request"}
}
