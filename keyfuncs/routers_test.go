package keyfuncs_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// guards stand where each router has something of its own.
type guards struct {
	nested   *guard.Guard // <org>:<id>, on a route within a group
	wildcard *guard.Guard
	nowhere  *guard.Guard // <path>, where no route matched
}

// locked answers with the key of the lock it runs under.
func locked(w http.ResponseWriter, r *http.Request) {
	lock, _ := core.FromContext(r.Context())
	_, _ = io.WriteString(w, lock.Key())
}

func ginRoutes(g guards) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	h := gin.WrapF(locked)
	engine := gin.New()
	engine.Group("/orgs/:org", ginlock.Middleware(g.nested)).GET("/users/:id", h)
	engine.GET("/files/*path", ginlock.Wrap(g.wildcard, h))
	engine.GET("/other/:name", ginlock.Wrap(g.nested, h))
	engine.NoRoute(ginlock.Wrap(g.nowhere, h))
	return engine
}

func echoRoutes(g guards) http.Handler {
	h := echo.WrapHandler(http.HandlerFunc(locked))
	e := echo.New()
	e.Group("/orgs/:org", echolock.Middleware(g.nested)).GET("/users/:id", h)
	e.GET("/files/*", echolock.Wrap(g.wildcard, h))
	e.GET("/other/:name", echolock.Wrap(g.nested, h))
	e.RouteNotFound("/*", echolock.Wrap(g.nowhere, h))
	return e
}

func serveMuxRoutes(g guards) http.Handler {
	h := http.HandlerFunc(locked)
	mux := http.NewServeMux()
	mux.Handle("GET /orgs/{org}/users/{id}", nethttplock.Wrap(g.nested, h))
	mux.Handle("GET /files/{path...}", nethttplock.Wrap(g.wildcard, h))
	mux.Handle("GET /other/{name}", nethttplock.Wrap(g.nested, h))
	mux.Handle("/", nethttplock.Wrap(g.nowhere, h))
	return mux
}

func chiRoutes(g guards) http.Handler {
	h := http.HandlerFunc(locked)
	router := chi.NewRouter()
	router.Route("/orgs/{org}", func(r chi.Router) { r.With(nethttplock.Middleware(g.nested)).Get("/users/{id}", locked) })
	router.Method(http.MethodGet, "/files/*", nethttplock.Wrap(g.wildcard, h))
	router.Method(http.MethodGet, "/other/{name}", nethttplock.Wrap(g.nested, h))
	router.NotFound(nethttplock.Wrap(g.nowhere, h).ServeHTTP)
	return router
}

func TestRouters(t *testing.T) {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs(), NodeTimeout: 10 * time.Second})
	require.NoError(t, err)
	defer locks.Close()
	for name, router := range map[string]struct {
		routes   func(guards) http.Handler
		wildcard string
	}{
		"gin":      {ginRoutes, "file_<param:path>"},
		"echo":     {echoRoutes, "file_<param:*>"},
		"ServeMux": {serveMuxRoutes, "file_<param:path>"},
		"chi":      {chiRoutes, "file_<param:*>"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			guarded := func(template string) *guard.Guard {
				g, err := guard.New(guard.Config{Locks: locks, Key: keyfuncs.MustTemplate(template), Scope: guard.ScopeNamespace,
					Logger: slog.New(slog.NewTextHandler(&log, nil))})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, g.Close()) })
				return g
			}
			h := router.routes(guards{guarded("<org>:<id>"), guarded(router.wildcard), guarded("<path>")})
			requireLock(t, h, "/orgs/acme/users/7", "acme:7")
			requireLock(t, h, "/files/a/b", "file_a/b")
			require.Equal(t, "/nowhere", answer(h, "/nowhere").Body.String(), "gin answers 404, the others what the handler says")
			require.Empty(t, log.String())

			// The route has other parameters: the program's mistake, told once.
			for range 2 {
				require.Equal(t, http.StatusInternalServerError, answer(h, "/other/7").Code)
			}
			require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
			require.Contains(t, log.String(), "/other/")
			require.Contains(t, log.String(), "<org>:<id>")
		})
	}
}

func answer(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

func requireLock(t *testing.T, h http.Handler, path, key string) {
	t.Helper()
	rec := answer(h, path)
	require.Equal(t, http.StatusOK, rec.Code, path)
	require.Equal(t, key, rec.Body.String(), path)
}
