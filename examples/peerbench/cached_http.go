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
	"github.com/labstack/echo/v4"
	"github.com/valyala/fasthttp"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
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
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// requests has h answer the same request over and over. The header map is
// reused, as net/http cannot; that is the same for all.
func requests(h http.Handler) (op func(), answered func() (int, http.Header)) {
	r, _ := http.NewRequest(http.MethodGet, "http://localhost"+cachedPath, nil) // a constant
	w := &sink{header: http.Header{}}
	op = func() {
		clear(w.header)
		w.bytes = 0
		h.ServeHTTP(w, r)
	}
	return op, func() (int, http.Header) { return w.bytes, w.header }
}

func newGuard(m *core.Manager) (*guard.Guard, error) {
	key, err := keyfuncs.Template("quote_<id>")
	if err != nil {
		return nil, err
	}
	return guard.New(guard.Config{Locks: m, Key: key, Fresh: cachedFor, Logger: quiet})
}

// plainText is what all handlers say of their body.
const plainText = "text/plain; charset=utf-8"

// handlerLoop is a handler with or without a cache in front, by name.
func handlerLoop(name string, build func(runs *int) (func(), func() (int, http.Header))) *loop {
	l := &loop{name: name}
	l.op, l.answered = build(&l.runs)
	return l
}

func netHTTP(name string, chain ...func(http.Handler) http.Handler) *loop {
	return handlerLoop(name, func(runs *int) (func(), func() (int, http.Header)) {
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			*runs++
			w.Header().Set("Content-Type", plainText)
			_, _ = w.Write(cachedBody)
		})
		for _, wrap := range chain {
			h = wrap(h)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /quotes/{id}", h)
		return requests(mux)
	})
}

func ginEngine(name string, chain ...gin.HandlerFunc) *loop {
	return handlerLoop(name, func(runs *int) (func(), func() (int, http.Header)) {
		gin.SetMode(gin.ReleaseMode)
		engine := gin.New()
		engine.GET("/quotes/:id", append(chain, func(c *gin.Context) {
			*runs++
			c.Data(http.StatusOK, plainText, cachedBody)
		})...)
		return requests(engine)
	})
}

// echoApp wraps the handler: of a route's middleware echo makes the handler anew
// for every request.
func echoApp(name string, wrap func(echo.HandlerFunc) echo.HandlerFunc) *loop {
	return handlerLoop(name, func(runs *int) (func(), func() (int, http.Header)) {
		e := echo.New()
		e.GET("/quotes/:id", wrap(func(c echo.Context) error {
			*runs++
			return c.Blob(http.StatusOK, plainText, cachedBody)
		}))
		return requests(e)
	})
}

func fiberApp(name string, chain ...fiber.Handler) *loop {
	return handlerLoop(name, func(runs *int) (func(), func() (int, http.Header)) { return fiberRequests(runs, chain) })
}

func fiberRequests(runs *int, chain []fiber.Handler) (op func(), answered func() (int, http.Header)) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, h := range chain {
		app.Use(h)
	}
	app.Get("/quotes/:id", func(c *fiber.Ctx) error {
		*runs++
		c.Set(fiber.HeaderContentType, plainText)
		return c.Send(cachedBody)
	})
	handler := app.Handler()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(fasthttp.MethodGet)
	ctx.Request.SetRequestURI(cachedPath)
	op = func() {
		ctx.Response.Reset()
		handler(&ctx)
	}
	return op, func() (int, http.Header) {
		return len(ctx.Response.Body()), http.Header{"Content-Type": {string(ctx.Response.Header.ContentType())}}
	}
}

// cachedHandlers are all, a bare one before those that stand before it.
func cachedHandlers(m *core.Manager) ([]*loop, func(), error) {
	g, err := newGuard(m)
	if err != nil {
		return nil, nil, err
	}
	all := []*loop{
		netHTTP("bare net/http"),
		netHTTP("dlm nethttplock", nethttplock.Middleware(g)),
		ginEngine("bare gin"),
		ginEngine("dlm ginlock", ginlock.Middleware(g)),
		ginEngine("gin-cache", gincache.CacheByRequestURI(persist.NewMemoryStore(cachedFor), cachedFor)),
		echoApp("bare echo", func(h echo.HandlerFunc) echo.HandlerFunc { return h }),
		echoApp("dlm echolock", func(h echo.HandlerFunc) echo.HandlerFunc { return echolock.Wrap(g, h) }),
		fiberApp("bare fiber"),
		fiberApp("fiber cache", fibercache.New(fibercache.Config{Expiration: cachedFor})),
	}
	return all, func() { _ = g.Close() }, nil
}
