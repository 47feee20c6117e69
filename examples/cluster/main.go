// Command cluster caches quotes in two tiers: the memory of each process over a
// Redis Cluster. The locks stay on independent nodes; a Cluster that loses
// responses costs runs of the handler, nothing else.
//
//	REDIS_NODES=redis://a:6379,redis://b:6379,redis://c:6379 REDIS_CLUSTER=d:6379,e:6379,f:6379 cluster
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
	"github.com/market-intel-brain/dlm/examples/internal/web"
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
	seeds := os.Getenv("REDIS_CLUSTER")
	if seeds == "" {
		return errors.New("REDIS_CLUSTER: empty: name one node of the Cluster or several, as in REDIS_CLUSTER=localhost:7000,localhost:7001")
	}
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
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: strings.Split(seeds, ",")})
	defer cluster.Close()
	quotes, err := guard.New(guard.Config{
		Locks: locks, Key: keyfuncs.MustTemplate("quote_<symbol>"),
		Fresh: time.Minute, Stale: time.Hour,
		Store: cache.NewTiered(cache.NewMemory(64<<20), cache.NewRedis(cluster)),
	})
	if err != nil {
		return err
	}
	defer quotes.Close()

	s, mux := shop.New(), http.NewServeMux()
	mux.Handle("GET /quotes/{symbol}", nethttplock.Wrap(quotes, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shop.Reply(w)(s.Quote(r.Context(), r.PathValue("symbol")))
	})))
	// For whoever knows that a quote has changed. It belongs behind authentication.
	mux.HandleFunc("DELETE /quotes/{symbol}", func(w http.ResponseWriter, r *http.Request) {
		key, err := keyfuncs.MustTemplate("quote_<symbol>")(r)
		if err == nil {
			err = quotes.Purge(r.Context(), key)
		}
		if err != nil {
			log.Print(err)
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return web.Serve(ctx, listener, mux)
}
