package snippets

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/echolock"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func withEcho(orders *guard.Guard) *echo.Echo {
	router := echo.New()
	router.POST("/orders/:id/pay", echolock.Wrap(orders, func(c echo.Context) error {
		return c.String(http.StatusOK, "nobody else in the fleet is paying order "+c.Param("id")+" now")
	}))
	return router
}

func withServeMux(orders *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /orders/{id}/pay", nethttplock.Wrap(orders, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "nobody else in the fleet is paying order %s now", r.PathValue("id"))
	})))
	return mux
}

func withChi(orders *guard.Guard) http.Handler {
	router := chi.NewRouter()
	router.With(nethttplock.Middleware(orders)).Post("/orders/{id}/pay", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "nobody else in the fleet is paying order %s now", r.PathValue("id"))
	})
	return router
}
