package ginlock_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/ginlock"
)

func caching(t testing.TB) *guard.Guard {
	return guarding(t, guard.Config{Fresh: time.Hour, Key: byOrder, Store: cache.NewMemory(1 << 20)})
}

func guarding(t testing.TB, cfg guard.Config) *guard.Guard {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	cfg.Locks = locks
	g, err := guard.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

// Middleware before the Guard sees the same of a hit as of a run.
func TestRenderedResponses(t *testing.T) {
	for name, tc := range map[string]struct {
		render    gin.HandlerFunc
		status    int
		mediaType string
		body      string
	}{
		"JSON":     {func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"id": c.Param("id")}) }, 200, "application/json; charset=utf-8", `{"id":"42"}`},
		"String":   {func(c *gin.Context) { c.String(http.StatusNotFound, "no %s", c.Param("id")) }, 404, "text/plain; charset=utf-8", "no 42"},
		"Status":   {func(c *gin.Context) { c.Status(http.StatusNoContent) }, 204, "", ""},
		"Redirect": {func(c *gin.Context) { c.Redirect(http.StatusMovedPermanently, "/orders/43") }, 301, "text/html; charset=utf-8", "<a href=\"/orders/43\">Moved Permanently</a>.\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			runs, after := 0, 0
			router := gin.New()
			router.Use(func(c *gin.Context) {
				before := c.Writer
				c.Next()
				assert.True(t, c.Writer == before, "the writer is back")
				assert.Equal(t, tc.status, c.Writer.Status())
				assert.Equal(t, len(tc.body), max(c.Writer.Size(), 0)) // -1 while gin has yet to send a bare status
			})
			router.GET("/orders/:id", ginlock.Middleware(caching(t)),
				func(c *gin.Context) { runs++; tc.render(c) }, func(*gin.Context) { after++ })
			for range 2 {
				rec := get(router, "/orders/42")
				assert.Equal(t, tc.status, rec.Code)
				assert.Equal(t, tc.mediaType, rec.Header().Get("Content-Type"))
				assert.Equal(t, tc.body, rec.Body.String())
			}
			assert.Equal(t, 1, runs)
			assert.Equal(t, 1, after, "a hit aborts the chain")
		})
	}
}

// An engine that leaves values escaped cannot be made to by what another
// parameter decodes to.
func TestEscapedValuesAreDecoded(t *testing.T) {
	for name, configure := range map[string]func(*gin.Engine){
		"by Path":                         func(*gin.Engine) {},
		"by RawPath":                      func(e *gin.Engine) { e.UseRawPath = true },
		"by RawPath, left escaped":        func(e *gin.Engine) { e.UseRawPath, e.UnescapePathValues = true, false },
		"by EscapedPath":                  func(e *gin.Engine) { e.UseEscapedPath = true },
		"by EscapedPath, left escaped":    func(e *gin.Engine) { e.UseEscapedPath, e.UnescapePathValues = true, false },
		"by RawPath, less slashes":        func(e *gin.Engine) { e.UseRawPath, e.RemoveExtraSlash = true, true },
		"by RawPath, less slashes and so": func(e *gin.Engine) { e.UseRawPath, e.UnescapePathValues, e.RemoveExtraSlash = true, false, true },
	} {
		t.Run(name, func(t *testing.T) {
			router := gin.New()
			configure(router)
			var keys []string
			g := guarding(t, guard.Config{Key: func(r *http.Request) (string, error) {
				keys = append(keys, r.PathValue("id")+" "+r.PathValue("note"))
				return "order", nil
			}})
			h := ginlock.Wrap(g, func(*gin.Context) {})
			router.GET("/orders/:id/notes/:note", h)
			router.GET("/notes/:note/orders/:id", h)
			router.GET("/all/:id/*note", h)
			for _, path := range []string{"/orders/%34%32/notes/%2534%2532", "/notes/%2534%2532/orders/%34%32", "/all/%34%32/%2534%2532", "/orders/42/notes/%2534%2532"} {
				require.Equal(t, http.StatusOK, get(router, path).Code, path)
			}
			require.Equal(t, slices.Repeat([]string{"42 %34%32"}, 4), keys)
		})
	}
}

func TestRefusalsStandInErrors(t *testing.T) {
	g := guarding(t, guard.Config{Key: func(*http.Request) (string, error) { return "", nil }})
	router := gin.New()
	var seen []*gin.Error
	router.Use(func(c *gin.Context) {
		c.Next()
		seen = c.Errors
	})
	router.GET("/orders/:id", ginlock.Wrap(g, func(*gin.Context) { t.Error("the handler ran") }), func(*gin.Context) { t.Error("the chain went on") })
	require.Equal(t, http.StatusBadRequest, get(router, "/orders/42").Code)
	require.Len(t, seen, 1)
	require.True(t, seen[0].IsType(gin.ErrorTypePrivate))
	refusal := (*guard.Refusal)(nil)
	require.ErrorAs(t, seen[0], &refusal)
	require.ErrorIs(t, refusal, guard.ErrEmptyKey)
}
