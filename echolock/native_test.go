package echolock_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
)

func guarding(t testing.TB, cfg guard.Config) *guard.Guard {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	cfg.Locks, cfg.Store = locks, cache.NewMemory(1<<20)
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

// teapots is an application whose errors are its own to render.
func teapots(seen *[]error) *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		*seen = append(*seen, err)
		if c.Response().Committed {
			return
		}
		code := http.StatusInternalServerError
		if he := (*echo.HTTPError)(nil); errors.As(err, &he) {
			code = he.Code
		}
		_ = c.String(code, fmt.Sprintf("teapot %d", code))
	}
	return e
}

func TestErrorsGoToTheErrorHandler(t *testing.T) {
	errMine := errors.New("mine")
	for name, cfg := range map[string]guard.Config{"serialized": {Key: byOrder}, "cached": {Key: byOrder, Fresh: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			var seen []error
			e := teapots(&seen)
			e.GET("/orders/:id", func(echo.Context) error {
				return echo.NewHTTPError(http.StatusTeapot).SetInternal(errMine)
			}, echolock.Middleware(guarding(t, cfg)))
			rec := get(e, "/orders/42")
			assert.Equal(t, http.StatusTeapot, rec.Code)
			assert.Equal(t, "teapot 418", rec.Body.String())
			require.NotEmpty(t, seen)
			for _, err := range seen {
				assert.ErrorIs(t, err, errMine)
			}
		})
	}
}

func TestRefusalsGoToTheErrorHandler(t *testing.T) {
	var seen []error
	e := teapots(&seen)
	g := guarding(t, guard.Config{Key: func(*http.Request) (string, error) { return "", nil }})
	e.GET("/orders/:id", func(echo.Context) error { t.Error("the handler ran"); return nil }, echolock.Middleware(g))
	rec := get(e, "/orders/42")
	assert.Equal(t, http.StatusBadRequest, rec.Code)
	assert.Equal(t, "teapot 400", rec.Body.String())
	require.Len(t, seen, 1)
	refusal := (*guard.Refusal)(nil)
	require.ErrorAs(t, seen[0], &refusal)
	assert.Equal(t, http.StatusBadRequest, refusal.Status)
	assert.ErrorIs(t, seen[0], guard.ErrEmptyKey)
}

// Middleware before the Guard, and the hooks of its response, see the same of a
// hit as of a run.
func TestRenderedResponses(t *testing.T) {
	runs, before, after := 0, 0, 0
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			res := c.Response()
			res.Before(func() { before++ })
			res.After(func() { after++ })
			err := next(c)
			assert.True(t, c.Response() == res, "the response is back")
			assert.True(t, res.Committed)
			assert.Equal(t, http.StatusOK, res.Status)
			assert.EqualValues(t, len("{\"id\":\"42\"}\n"), res.Size)
			return err
		}
	})
	e.GET("/orders/:id", func(c echo.Context) error {
		runs++
		return c.JSON(http.StatusOK, echo.Map{"id": c.Param("id")})
	}, echolock.Middleware(guarding(t, guard.Config{Key: byOrder, Fresh: time.Hour})))
	for range 2 {
		rec := get(e, "/orders/42")
		assert.Equal(t, "{\"id\":\"42\"}\n", rec.Body.String())
		assert.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	}
	assert.Equal(t, 1, runs)
	assert.Equal(t, 2, before)
	assert.Equal(t, 2, after)
}
