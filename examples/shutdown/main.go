// Command shutdown ends as a service should in the middle of its work: first the
// load balancer is told, then whoever came is served, and a lock that the process
// held for long is given back, so that the next one has it at once rather than
// when its lease is over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

const (
	drain = 5 * time.Second  // for load balancers to see that this process is not ready
	grace = 20 * time.Second // for requests under way
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen")
	flag.Parse()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	listener, err := net.Listen("tcp", *addr)
	if err == nil {
		fmt.Println("listening on", listener.Addr())
		err = run(listener, signals)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(listener net.Listener, signals <-chan os.Signal) error {
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()
	locks, err := core.New(core.Config{Nodes: nodes, TTL: time.Minute})
	if err != nil {
		return err
	}
	defer locks.Close()
	orders, err := guard.New(guard.Config{Locks: locks, Key: keyfuncs.MustTemplate("order_<id>")})
	if err != nil {
		return err
	}
	defer orders.Close()

	var ending atomic.Bool
	ready, s, mux := guard.ReadinessHandler(locks), shop.New(), http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		ready.ServeHTTP(w, r)
	})
	mux.Handle("POST /orders/{id}/pay", nethttplock.Wrap(orders, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shop.Reply(w)(s.Pay(r.Context(), r.PathValue("id")))
	})))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	background, endBackground := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { lead(background, locks) })
	defer work.Wait()
	defer endBackground()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-signals:
	}
	ending.Store(true)
	endBackground() // another process may take over while this one serves its clients
	select {
	case <-time.After(drain):
	case <-signals: // a second one: no time for that
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return server.Shutdown(ctx)
}

// lead does what one process of the fleet does at a time, for as long as it
// lives or has the lock.
func lead(ctx context.Context, locks *core.Manager) {
	for ctx.Err() == nil {
		err := locks.Do(ctx, "leader", func(ctx context.Context) error {
			fmt.Println("leading")
			<-ctx.Done() // the work
			fmt.Println("led")
			return nil
		}, core.WithWait(time.Hour), core.WithMaxHold(24*time.Hour))
		if err != nil && !errors.Is(err, core.ErrNotAcquired) && ctx.Err() == nil {
			log.Print(err)
		}
	}
}
