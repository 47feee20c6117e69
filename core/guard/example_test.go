package guard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// exampleLocks is a Manager of an embedded node; a real one names three or five
// independent servers.
func exampleLocks() (*core.Manager, func()) {
	nodes, err := coretest.StartEmbedded(1)
	if err != nil {
		panic(err)
	}
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	return locks, func() { _ = locks.Close(); _ = nodes.Close() }
}

func byOrder(r *http.Request) (string, error) { return "order_" + r.PathValue("id"), nil }

// One order is paid by one request at a time, whichever process serves it.
func Example() {
	locks, stop := exampleLocks()
	defer stop()
	g, err := guard.New(guard.Config{Locks: locks, Key: byOrder})
	if err != nil {
		panic(err)
	}
	defer func() { _ = g.Close() }()

	mux := http.NewServeMux()
	mux.Handle("POST /orders/{id}/pay", nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock, _ := core.FromContext(r.Context())
		fmt.Fprintf(w, "paid under a fencing token: %t", lock.FencingToken() > 0)
	})))

	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/orders/42/pay", nil))
	fmt.Println(rec.Code, rec.Body)
	// Output: 200 paid under a fencing token: true
}

// With Fresh the handler runs once a minute for each quote, in the whole fleet.
func ExampleNew_cache() {
	locks, stop := exampleLocks()
	defer stop()
	g, err := guard.New(guard.Config{Locks: locks, Fresh: time.Minute, Key: byOrder})
	if err != nil {
		panic(err)
	}
	defer func() { _ = g.Close() }()

	runs := 0
	h := nethttplock.Wrap(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runs++ }))
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/quotes/ACME", nil))
	}
	fmt.Println("runs:", runs)
	if err := g.Purge(context.Background(), "order_"); err != nil {
		panic(err)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/quotes/ACME", nil))
	fmt.Println("runs after the purge:", runs)
	// Output:
	// runs: 1
	// runs after the purge: 2
}

// Every mistake in a Config is named at once.
func ExampleNew_mistakes() {
	_, err := guard.New(guard.Config{ContentionStatus: 200})
	fmt.Println(err)
	// Output:
	// guard: invalid Config: Locks: nil: pass the *core.Manager that grants the locks
	// Key: nil: pass a key function, such as keyfuncs.MustTemplate("order_<id>")
	// ContentionStatus: 200: use 409, 423, 429 or 503
}
