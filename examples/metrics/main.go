// Command metrics serves quotes and orders under locks, and what there is to see
// of that: Prometheus' /metrics through OpenTelemetry, the debug page, probes.
// grafana.json beside it is a dashboard for these metrics.
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
	memory := cache.NewMemory(16 << 20)
	quotes, err := cache.New[string](cache.Config{Locks: locks, Store: memory, Fresh: time.Second, Stale: time.Minute})
	if err != nil {
		return err
	}
	defer quotes.Close()
	_, err1 := observer.WatchManager(locks)
	_, err2 := observer.WatchCache("quotes", quotes.Stats)
	_, err3 := observer.WatchMemory("quotes", memory.Usage)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}/pay", pay(locks))
	mux.HandleFunc("GET /quotes/{symbol}", quote(observer, quotes))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", guard.HealthHandler(locks))
	mux.Handle("GET /readyz", guard.ReadinessHandler(locks))
	mux.Handle("GET /debug/dlm", guard.DebugHandler(locks, guard.DebugEvents(events), guard.DebugCache("quotes", quotes.Stats, memory.Usage)))
	return serve(ctx, listener, mux)
}

func pay(locks *core.Manager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := locks.Do(r.Context(), "order_"+r.PathValue("id"), func(context.Context) error {
			_, err := fmt.Fprintln(w, "paid")
			return err
		}, core.WithWait(time.Second))
		if err != nil {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		}
	}
}

func quote(observer *telemetry.Observer, quotes *cache.Cache[string]) http.HandlerFunc {
	fetch := telemetry.Fetch(observer, "quotes", func(context.Context) (string, error) {
		return fmt.Sprintf("%.2f", 100*rand.Float64()), nil
	})
	return func(w http.ResponseWriter, r *http.Request) {
		price, err := quotes.Get(r.Context(), "quote_"+r.PathValue("symbol"), fetch)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprintln(w, price)
	}
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	}
}
