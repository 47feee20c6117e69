// Command metrics serves orders under locks, quotes from a cache and charts from
// behind a Guard, and what there is to see of that: Prometheus' /metrics through
// OpenTelemetry, the debug page, probes. grafana.json is a dashboard for it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/core/telemetry"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
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
	nodes, stop, err := redisnodes.Open() // those of REDIS_NODES, or embedded ones
	if err != nil {
		return err
	}
	defer stop()

	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return err
	}
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	defer meters.Shutdown(context.WithoutCancel(ctx))
	observer, err := telemetry.New(telemetry.Config{Meters: meters})
	if err != nil {
		return err
	}
	events := guard.NewEventLog(100)
	locks, err := core.New(core.Config{Nodes: nodes, Observer: core.MultiObserver(observer, events)})
	if err != nil {
		return err
	}
	defer locks.Close()
	core.SetDefault(locks)
	memory := cache.NewMemory(16 << 20)
	quotes, err1 := cache.New[string](cache.Config{Locks: locks, Store: memory, Fresh: time.Second, Stale: time.Minute})
	charts, err2 := guard.New(guard.Config{Locks: locks, Key: keyfuncs.MustTemplate("chart_<symbol>"), Fresh: time.Second, OnFetch: observer.OnFetch("charts")})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer quotes.Close()
	defer charts.Close()
	watching := func(_ func() error, err error) error { return err } // until the provider is shut down
	if err := errors.Join(watching(observer.WatchManager(locks)),
		watching(observer.WatchCache("quotes", quotes.Stats)), watching(observer.WatchMemory("quotes", memory.Usage)),
		watching(observer.WatchCache("charts", charts.Stats)), watching(observer.WatchMemory("charts", charts.Usage))); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}/pay", pay)
	mux.HandleFunc("GET /quotes/{symbol}", quote(observer, quotes))
	mux.Handle("GET /charts/{symbol}", nethttplock.Wrap(charts, http.HandlerFunc(chart)))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", guard.HealthHandler(locks))
	mux.Handle("GET /readyz", guard.ReadinessHandler(locks))
	mux.Handle("GET /debug/dlm", guard.DebugHandler(locks, guard.DebugEvents(events),
		guard.DebugCache("quotes", quotes.Stats, memory.Usage), guard.DebugCache("charts", charts.Stats, charts.Usage)))
	return web.Serve(ctx, listener, mux)
}

func pay(w http.ResponseWriter, r *http.Request) {
	paid := func(context.Context) error { _, err := fmt.Fprintln(w, "paid"); return err }
	if err := core.Default().Do(r.Context(), "order_"+r.PathValue("id"), paid, core.WithWait(time.Second)); err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	}
}

func quote(observer *telemetry.Observer, quotes *cache.Cache[string]) http.HandlerFunc {
	fetch := telemetry.Fetch(observer, "quotes", func(context.Context) (string, error) { return fmt.Sprintf("%.2f", 100*rand.Float64()), nil })
	return func(w http.ResponseWriter, r *http.Request) {
		price, err := quotes.Get(r.Context(), "quote_"+r.PathValue("symbol"), fetch)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprintln(w, price)
	}
}

func chart(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, strings.Repeat("*", 1+rand.IntN(60)))
}
