package main

import (
	"bytes"
	"net/http"
	"time"

	gincache "github.com/chenyahui/gin-cache"
	"github.com/chenyahui/gin-cache/persist"
	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	fibercache "github.com/gofiber/fiber/v2/middleware/cache"
	"github.com/valyala/fasthttp"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

const (
	cachedFor  = time.Hour
	cachedPath = "/quotes/42"
)

// cachedBody is what the handlers answer: 2 KiB.
var cachedBody = bytes.Repeat([]byte("market "), 2048/7+1)[:2048]

// sink is a response that goes nowhere.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(p []byte) (int, error) { return len(p), nil }
func (s sink) WriteHeader(int)             {}

// requests has h answer the same request over and over. The header map is
// reused, as net/http cannot; that is the same for all.
func requests(h http.Handler) func() {
	r, _ := http.NewRequest(http.MethodGet, "http://localhost"+cachedPath, nil) // a constant
	w := sink{http.Header{}}
	return func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func newGuard(m *core.Manager) (*guard.Guard, error) {
	key, err := keyfuncs.Template("quote_<id>")
	if err != nil {
		return nil, err
	}
	return guard.New(guard.Config{Locks: m, Key: key, Fresh: cachedFor, Logger: quiet})
}

func bareHandler(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(cachedBody)
}

func netHTTP(wrap func(http.Handler) http.Handler) func() {
	mux := http.NewServeMux()
	mux.Handle("GET /quotes/{id}", wrap(http.HandlerFunc(bareHandler)))
	return requests(mux)
}

func ginEngine(chain ...gin.HandlerFunc) func() {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/quotes/:id", append(chain, func(c *gin.Context) {
		c.Data(http.StatusOK, "text/plain; charset=utf-8", cachedBody)
	})...)
	return requests(engine)
}

func fiberApp(chain ...fiber.Handler) func() {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, h := range chain {
		app.Use(h)
	}
	app.Get("/quotes/:id", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, "text/plain; charset=utf-8")
		return c.Send(cachedBody)
	})
	handler := app.Handler()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(fasthttp.MethodGet)
	ctx.Request.SetRequestURI(cachedPath)
	return func() {
		ctx.Response.Reset()
		handler(&ctx)
	}
}

// cachedHandlers are all, each warmed up with one request.
func cachedHandlers(m *core.Manager) ([]*loop, func(), error) {
	g, err := newGuard(m)
	if err != nil {
		return nil, nil, err
	}
	all := []*loop{
		{name: "bare net/http", op: netHTTP(func(h http.Handler) http.Handler { return h })},
		{name: "dlm nethttplock", op: netHTTP(nethttplock.Middleware(g))},
		{name: "bare gin", op: ginEngine()},
		{name: "dlm ginlock", op: ginEngine(ginlock.Middleware(g))},
		{name: "gin-cache", op: ginEngine(gincache.CacheByRequestURI(persist.NewMemoryStore(cachedFor), cachedFor))},
		{name: "bare fiber", op: fiberApp()},
		{name: "fiber cache", op: fiberApp(fibercache.New(fibercache.Config{Expiration: cachedFor}))},
	}
	return all, func() { _ = g.Close() }, nil
}
