// Command memoize serves exchange rates that are dear to look up. The look-up is
// an ordinary function; memoized, it runs once in the fleet for everybody who
// asks, and in the background while an earlier rate is served.
package main

import (
	"context"
	"encoding/json"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
	"github.com/market-intel-brain/dlm/examples/internal/web"
)

// rate is what one euro costs.
type rate struct {
	Currency string
	Price    float64
	At       time.Time
}

var currencies = []string{"CHF", "GBP", "JPY", "USD"}

// lookUp stands for a service that is slow, bills each call, and is down at times.
func lookUp(ctx context.Context, currency string) (rate, error) {
	select {
	case <-time.After(500 * time.Millisecond):
		return rate{currency, 100 * rand.Float64(), time.Now()}, nil
	case <-ctx.Done():
		return rate{}, context.Cause(ctx)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "localhost:8080")
	if err == nil {
		err = run(ctx, listener, lookUp, 10*time.Second)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listener net.Listener, lookUp func(context.Context, string) (rate, error), fresh time.Duration) error {
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
	options, err := redis.ParseURL(nodes[0]) // losing what is kept there costs look-ups, nothing else
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	rates, err := cache.New[rate](cache.Config{
		Namespace: "rates", Locks: locks, Store: cache.NewTiered(cache.NewMemory(16<<20), cache.NewRedis(client)),
		Fresh: fresh, Stale: time.Hour, // an old rate is better than none
	})
	if err != nil {
		return err
	}
	defer rates.Close()

	latest := cache.Memoize(rates, func(currency string) (string, error) { return "rate_" + currency, nil }, lookUp)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rates/{currency}", func(w http.ResponseWriter, r *http.Request) {
		currency := r.PathValue("currency")
		if !slices.Contains(currencies, currency) { // or a client could fill the cache with names it makes up
			http.NotFound(w, r)
			return
		}
		rate, err := latest(r.Context(), currency)
		if err != nil {
			log.Print(err)
			http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(rate) // the client may have gone
	})
	return web.Serve(ctx, listener, mux)
}
