package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// How long the handlers take.
const (
	payTime    = 5 * time.Millisecond
	reportTime = 20 * time.Millisecond
	quoteTime  = 25 * time.Millisecond
)

// route is one route of every server. Without a guard it runs bare.
type route struct {
	method, path string // the path goes on with the parameter id
	guard        *guard.Guard
	takes        time.Duration
}

func (s *service) routes() []route {
	return []route{
		{http.MethodPost, "/bare/pay/", nil, payTime},
		{http.MethodPost, "/pay/", s.pay, payTime},
		{http.MethodPost, "/try/", s.try, payTime},
		{http.MethodGet, "/reports/", s.reports, reportTime},
		{http.MethodGet, "/bare/quotes/", nil, quoteTime},
		{http.MethodGet, "/quotes/", s.quotes, quoteTime},
	}
}

// answer runs a handler's work and gives its response.
func (s *service) answer(r *http.Request, id string, takes time.Duration) (status int, text string) {
	balance, err := s.work(r.Context(), id, takes)
	if err != nil {
		return http.StatusInternalServerError, err.Error()
	}
	return http.StatusOK, fmt.Sprintln(id, balance)
}

// frameworks are those with a server process of their own, in order.
var frameworks = []string{"gin", "echo", "net/http"}

var handlers = map[string]func(*service) http.Handler{
	"gin": ginHandler, "echo": echoHandler, "net/http": stdHandler,
}

func ginHandler(s *service) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET(waitsPath, gin.WrapF(s.serveWaits))
	router.GET(debugPath, gin.WrapH(s.debug))
	for _, r := range s.routes() {
		handler := func(c *gin.Context) {
			status, text := s.answer(c.Request, c.Param("id"), r.takes)
			c.String(status, "%s", text)
		}
		if r.guard != nil {
			handler = ginlock.Wrap(r.guard, handler)
		}
		router.Handle(r.method, r.path+":id", handler)
	}
	return router
}

func echoHandler(s *service) http.Handler {
	router := echo.New()
	router.GET(waitsPath, echo.WrapHandler(http.HandlerFunc(s.serveWaits)))
	router.GET(debugPath, echo.WrapHandler(s.debug))
	for _, r := range s.routes() {
		handler := func(c echo.Context) error { return c.String(s.answer(c.Request(), c.Param("id"), r.takes)) }
		if r.guard != nil {
			handler = echolock.Wrap(r.guard, handler)
		}
		router.Add(r.method, r.path+":id", handler)
	}
	return router
}

func stdHandler(s *service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+waitsPath, s.serveWaits)
	mux.Handle("GET "+debugPath, s.debug)
	for _, r := range s.routes() {
		var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			status, text := s.answer(req, req.PathValue("id"), r.takes)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, text)
		})
		if r.guard != nil {
			handler = nethttplock.Wrap(r.guard, handler)
		}
		mux.Handle(r.method+" "+r.path+"{id}", handler)
	}
	return mux
}

// debugPath is where a process shows what it holds and waits for.
const debugPath = "/debug/dlm"

// waitsPath tells how many requests of a process have queued for a lock so far.
const waitsPath = "/waits"

func (s *service) serveWaits(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w, s.waits.Load())
}
