// Command gin serves orders and quotes with gin: the payments of one order run
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

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/keyfuncs"
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

	s, router := shop.New(), gin.New()
	router.POST("/orders/:id/pay", ginlock.Wrap(orders, func(c *gin.Context) {
		c.JSON(s.Pay(c.Request.Context(), c.Param("id")))
	}))
	router.GET("/quotes/:symbol", ginlock.Wrap(quotes, func(c *gin.Context) {
		c.JSON(s.Quote(c.Request.Context(), c.Param("symbol")))
	}))

	server := &http.Server{Handler: router, ReadHeaderTimeout: 5 * time.Second}
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
