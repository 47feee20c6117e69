package nethttplock_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
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
