package echolock_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
)

func eachAttitude(t *testing.T, test func(*testing.T, echo.MiddlewareFunc)) {
	for name, cfg := range map[string]guard.Config{"serialized": {}, "stale": {Stale: time.Hour}, "cached": {Fresh: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			cfg.Key = byOrder
			test(t, echolock.Middleware(guarding(t, cfg)))
		})
	}
}

// expiring is a context whose deadline passes when it is told.
type expiring struct {
	context.Context
	over chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.over }

func (e expiring) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Middleware for timeouts, as middleware.ContextTimeout, answers where the handler
// gives up, and finds why in the error.
func TestTimeoutsAnswer(t *testing.T) {
	eachAttitude(t, func(t *testing.T, guarded echo.MiddlewareFunc) {
		runs := 0
		e := echo.New()
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				err := next(c)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.False(t, c.Response().Committed)
				return echo.NewHTTPError(http.StatusGatewayTimeout)
			}
		})
		e.GET("/orders/:id", func(c echo.Context) error {
			runs++
			close(c.Request().Context().Value(expiring{}).(chan struct{}))
			<-c.Request().Context().Done()
			return c.Request().Context().Err()
		}, guarded)
		for range 2 {
			over := make(chan struct{})
			ctx := expiring{context.WithValue(context.Background(), expiring{}, over), over}
			rec := httptest.NewRecorder()
			e.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/orders/42", nil).WithContext(ctx))
			require.Equal(t, http.StatusGatewayTimeout, rec.Code)
		}
		require.Equal(t, 2, runs)
	})
}

func TestErrorBehindContent(t *testing.T) {
	broken := errors.New("broken")
	eachAttitude(t, func(t *testing.T, guarded echo.MiddlewareFunc) {
		runs := 0
		e := echo.New()
		e.GET("/orders/:id", func(c echo.Context) error {
			runs++
			return c.Stream(http.StatusOK, "text/plain", io.MultiReader(strings.NewReader("a part of"), iotest.ErrReader(broken)))
		}, guarded)
		for range 2 {
			rec := get(e, "/orders/42")
			require.Equal(t, http.StatusOK, rec.Code)
			require.Equal(t, "a part of", rec.Body.String())
		}
		require.Equal(t, 2, runs)
	})
}
