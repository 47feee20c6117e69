// Command nethttp serves orders and quotes with net/http: the payments of one order run
// one at a time in the whole fleet, and a quote is made once for everybody.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "localhost:8080")
	if err == nil {
		err = run(ctx, listener)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listener net.Listener) error {
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()
	locks, err := core.New(core.Config{Nodes: nodes})
	if err != nil {
		return err
	}
	defer locks.Close()
	orders, err1 := guard.New(guard.Config{Locks: locks, Key: keyfuncs.MustTemplate("order_<id>")})
	quotes, err2 := guard.New(guard.Config{
		Locks: locks, Key: keyfuncs.MustTemplate("quote_<symbol>"),
		Fresh: time.Second, Stale: time.Minute,
	})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer orders.Close()
	defer quotes.Close()

	s, mux := shop.New(), http.NewServeMux()
	mux.Handle("POST /orders/{id}/pay", nethttplock.Wrap(orders, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shop.Reply(w)(s.Pay(r.Context(), r.PathValue("id")))
	})))
	mux.Handle("GET /quotes/{symbol}", nethttplock.Wrap(quotes, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shop.Reply(w)(s.Quote(r.Context(), r.PathValue("symbol")))
	})))

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done(): // who is being served, or waits for a lock, is served
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	}
}
