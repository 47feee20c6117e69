package nethttplock_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func guarded(r guardtest.Route) http.Handler {
	if r.Chain {
		return nethttplock.Middleware(r.Guard)(r.Handler)
	}
	return nethttplock.Wrap(r.Guard, r.Handler)
}

func TestServeMux(t *testing.T) {
	t.Parallel()
	guardtest.Run(t, guardtest.Adapter{App: func(routes []guardtest.Route) http.Handler {
		mux := http.NewServeMux()
		for _, r := range routes {
			mux.Handle(r.Method+" "+r.Pattern, guarded(r))
		}
		return mux
	}}, coretest.Redis(t, 3).URLs())
}

var catchAll = regexp.MustCompile(`\{\w+\.\.\.\}`)

func TestChi(t *testing.T) {
	t.Parallel()
	guardtest.Run(t, guardtest.Adapter{Literal: true, App: func(routes []guardtest.Route) http.Handler {
		router := chi.NewRouter()
		for _, r := range routes {
			pattern := catchAll.ReplaceAllString(r.Pattern, "*")
			if r.Chain {
				router.With(nethttplock.Middleware(r.Guard)).Method(r.Method, pattern, r.Handler)
			} else {
				router.Method(r.Method, pattern, nethttplock.Wrap(r.Guard, r.Handler))
			}
		}
		return router
	}}, coretest.Redis(t, 3).URLs())
}

// What the package documentation says of chi's mounted routers, and of verbs.
func TestChiRoutes(t *testing.T) {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	defer locks.Close()
	g, err := guard.New(guard.Config{Locks: locks, Key: keyfuncs.MustTemplate("<id>")})
	require.NoError(t, err)
	defer g.Close()
	router := chi.NewRouter()
	lockOf := func(path string) string {
		rec := httptest.NewRecorder()
		router.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusOK, rec.Code, path)
		return rec.Body.String()
	}
	said := func(w http.ResponseWriter, r *http.Request) {
		lock, _ := core.FromContext(r.Context())
		_, _ = io.WriteString(w, lock.Key())
	}
	guarded := nethttplock.Middleware(g)
	router.Route("/orders", func(r chi.Router) { r.With(guarded).Get("/{id}", said) })
	router.Route("/invoices", func(r chi.Router) { r.With(guarded).Get("/{id}", said) })
	router.With(guarded).Get("/orders/{id}:pay", said)
	router.With(guarded).Get("/orders/{id}:cancel", said)
	require.Equal(t, lockOf("/orders/42"), lockOf("/invoices/42"))
	require.NotEqual(t, lockOf("/orders/42:pay"), lockOf("/orders/42:cancel"))
	require.Equal(t, lockOf("/orders/42:pay"), lockOf("/orders/%34%32:pay"))
}
