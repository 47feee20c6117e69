package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started runs the program until the test ends.
func started(t *testing.T) (url string) {
	t.Helper()
	t.Setenv("REDIS_NODES", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- run(ctx, listener) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		require.NoError(t, <-over)
	})
	return "http://" + listener.Addr().String()
}

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// drive has 8 clients that pay for 2 orders, 5 times each, and ask for one quote
// and one chart all the while.
func drive(t *testing.T, url string) {
	t.Helper()
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for range 5 {
				code, _ := ask(t, http.MethodPost, fmt.Sprintf("%s/orders/%d/pay", url, i%2))
				if code != http.StatusOK {
					t.Errorf("paying answered %d", code)
				}
				for _, path := range []string{"/quotes/ACME", "/charts/ACME"} {
					if code, _ := ask(t, http.MethodGet, url+path); code != http.StatusOK {
						t.Errorf("%s answered %d", path, code)
					}
				}
			}
		})
	}
	callers.Wait()
}

// sample sums up the samples of a metric whose labels contain all of labels.
func sample(t *testing.T, scraped, name string, labels ...string) (total float64) {
	t.Helper()
	found := false
	for line := range strings.Lines(scraped) {
		if !strings.HasPrefix(line, name+"{") {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(line, label)
		}
		if matches {
			var v float64
			_, err := fmt.Sscan(line[strings.LastIndex(line, "}")+1:], &v)
			require.NoError(t, err)
			total, found = total+v, true
		}
	}
	require.True(t, found, "%s %v in\n%s", name, labels, scraped)
	return total
}

func TestMetricsAfterLoad(t *testing.T) {
	url := started(t)
	drive(t, url)
	code, scraped := ask(t, http.MethodGet, url+"/metrics")
	require.Equal(t, http.StatusOK, code)

	const payments, requests = 40, 40
	require.GreaterOrEqual(t, sample(t, scraped, "dlm_lock_acquired_total"), float64(payments))
	require.GreaterOrEqual(t, sample(t, scraped, "dlm_lock_wait_duration_seconds_count"), float64(payments))
	require.GreaterOrEqual(t, sample(t, scraped, "dlm_lock_hold_duration_seconds_count"), float64(payments))
	for _, name := range []string{`dlm_cache_name="quotes"`, `dlm_cache_name="charts"`} {
		fetches := sample(t, scraped, "dlm_cache_fetches_total", name)
		require.GreaterOrEqual(t, fetches, 1.0)
		require.Less(t, fetches, float64(requests))
		require.GreaterOrEqual(t, fetches+sample(t, scraped, "dlm_cache_requests_total", name), float64(requests))
		require.Positive(t, sample(t, scraped, "dlm_cache_memory_usage_bytes", name))
	}
	require.Equal(t, 3.0, sample(t, scraped, "dlm_node_voting", `server_address="127.0.0.1"`))
	require.Equal(t, 2.0, sample(t, scraped, "dlm_quorum"))
	require.NotContains(t, scraped, "order_0", "no key is a label")
	require.NotContains(t, scraped, "ACME")
}

func TestProbesAndDebugPageAreServed(t *testing.T) {
	url := started(t)
	drive(t, url)
	for _, path := range []string{"/healthz", "/readyz", "/debug/dlm"} {
		code, body := ask(t, http.MethodGet, url+path)
		require.Equal(t, http.StatusOK, code, path)
		require.NotEmpty(t, body)
	}
	_, page := ask(t, http.MethodGet, url+"/debug/dlm")
	require.Contains(t, page, "<td>quotes<td", "the cache is on it")
	require.Contains(t, page, "<td>charts<td", "and the Guard")
}

// suffer has the program wait for a lock, be refused it, and lose it: what has no
// sample before it has happened.
func suffer(t *testing.T, url string) {
	t.Helper()
	locks := core.Default()
	lost, err := locks.Acquire(t.Context(), "order_lost", core.WithTTL(100*time.Millisecond))
	require.NoError(t, err)
	waiting, cancel := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	held, err := locks.Acquire(t.Context(), "order_held")
	require.NoError(t, err)
	go func() { _, err := locks.Acquire(waiting, "order_held"); refused <- err }()
	require.Eventually(t, func() bool { return locks.Stats().Waiting == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-refused, core.ErrNotAcquired)
	require.NoError(t, held.Release(t.Context()))
	<-lost.Context().Done()
	require.Eventually(t, func() bool { // the holder is told before the Observer
		_, scraped := ask(t, http.MethodGet, url+"/metrics")
		return strings.Contains(scraped, "\ndlm_lock_lost_total{")
	}, time.Minute, 10*time.Millisecond)
}

func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	url := started(t)
	drive(t, url)
	suffer(t, url)
	_, scraped := ask(t, http.MethodGet, url+"/metrics")
	text, err := os.ReadFile("grafana.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`dlm_[a-z_]+\{`).FindAllString(target.Expr, -1) {
				asked++
				require.Contains(t, scraped, "\n"+name, panel.Title)
			}
		}
	}
	require.Greater(t, asked, 20)
}

// TestOnTheSDK holds the package against the SDK itself.
func TestOnTheSDK(t *testing.T) {
	reader, spans := metric.NewManualReader(), tracetest.NewInMemoryExporter()
	meters, tracers := metric.NewMeterProvider(metric.WithReader(reader)), trace.NewTracerProvider(trace.WithSyncer(spans))
	observer, err := telemetry.New(telemetry.Config{Meters: meters, Tracers: tracers})
	require.NoError(t, err)
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 3).URLs(), Observer: observer})
	require.NoError(t, err)
	defer locks.Close()

	ctx, request := tracers.Tracer("test").Start(t.Context(), "request")
	require.NoError(t, locks.Do(ctx, "k", func(ctx context.Context) error {
		_, err := locks.TryAcquire(context.WithoutCancel(t.Context()), "k")
		require.ErrorIs(t, err, core.ErrNotAcquired)
		return nil
	}))
	request.End()

	stubs := spans.GetSpans()
	require.Len(t, stubs, 4, "request, acquire, hold, and the refusal of another caller")
	require.Equal(t, "request", stubs[3].Name)
	for _, s := range []tracetest.SpanStub{stubs[0], stubs[2]} {
		require.Equal(t, stubs[3].SpanContext.SpanID(), s.Parent.SpanID(), s.Name)
		require.False(t, s.EndTime.Before(s.StartTime))
	}

	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	counted := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range sum.DataPoints {
				counted[strings.TrimSpace(m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder()))] += p.Value
			}
		}
	}
	require.Equal(t, map[string]int64{
		"dlm.lock.acquired dlm.lock.source=redis": 1,
		"dlm.lock.refused error.type=contended":   1,
		"dlm.lock.released":                       1,
	}, counted)
}
