package nethttplock_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func newGuard() (*guard.Guard, func()) {
	nodes, err := coretest.StartEmbedded(1)
	if err != nil {
		panic(err)
	}
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	g, err := guard.New(guard.Config{Locks: locks, Key: func(r *http.Request) (string, error) {
		if id := r.PathValue("id"); id != "" {
			return "order_" + id, nil
		}
		return "", errors.New("no id")
	}})
	if err != nil {
		panic(err)
	}
	return g, func() { _ = g.Close(); _ = locks.Close(); _ = nodes.Close() }
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

func answer(h http.Handler, path string) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	fmt.Println(rec.Code)
}

func ExampleWrap() {
	g, stop := newGuard()
	defer stop()
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", nethttplock.Wrap(g, hello))
	answer(mux, "/orders/42")
	// Output: 200
}

func ExampleMiddleware() {
	g, stop := newGuard()
	defer stop()
	guarded := nethttplock.Middleware(g)
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", guarded(hello))
	answer(mux, "/orders/42")
	// Output: 200
}

// Around the mux no route is known yet, so a key that names a route parameter
// cannot be built, and no request gets through.
func ExampleMiddleware_incorrect() {
	g, stop := newGuard()
	defer stop()
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", hello)
	answer(nethttplock.Middleware(g)(mux), "/orders/42")
	// Output: 400
}
