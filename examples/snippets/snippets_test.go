package snippets

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func manager(t *testing.T) *core.Manager {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 3).URLs(), NodeTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	return locks
}

func TestModesAreValid(t *testing.T) {
	for _, cfg := range modes(manager(t)) {
		g, err := guard.New(cfg)
		require.NoError(t, err)
		require.NoError(t, g.Close())
	}
	require.Len(t, keys(), 3)
}

func TestManagerOfThePythonSettings(t *testing.T) {
	locks, err := newManager() // of hosts that are not there
	require.NoError(t, err)
	require.NoError(t, locks.Close())
}

func TestLocks(t *testing.T) {
	ctx, locks := t.Context(), manager(t)
	failed := errors.New("failed")
	holding := func(key string, result error) func(context.Context) error {
		return func(ctx context.Context) error {
			lock, ok := core.FromContext(ctx)
			require.True(t, ok)
			require.Equal(t, key, lock.Key())
			return result
		}
	}
	require.NoError(t, locked(ctx, locks, holding("my_resource", nil)))
	require.ErrorIs(t, locked(ctx, locks, holding("my_resource", failed)), failed)
	require.NoError(t, extended(ctx, locks, holding("long_task", nil)))

	is, _, _, err := asked(ctx, locks)
	require.False(t, is)
	require.ErrorIs(t, err, core.ErrNotLocked)
	held, err := locks.Acquire(ctx, "my_lock")
	require.NoError(t, err)
	is, info, stats, err := asked(ctx, locks)
	require.NoError(t, err)
	require.True(t, is)
	require.Equal(t, held.Owner(), info.Owner)
	require.Equal(t, 1, stats.Held)
}

func TestCaches(t *testing.T) {
	ctx, locks := t.Context(), manager(t)
	client := redis.NewClient(coretest.Embedded(t, 1).Node(0).Options())
	defer func() { require.NoError(t, client.Close()) }()
	profiles, err := newProfiles(locks, client)
	require.NoError(t, err)
	defer func() { require.NoError(t, profiles.Close()) }()

	fetches := 0
	fetch := func(context.Context) (Profile, error) { fetches++; return Profile{"Ann"}, nil }
	for range 2 {
		got, err := protected(ctx, profiles, fetch)
		require.NoError(t, err)
		require.Equal(t, Profile{"Ann"}, got)
	}
	require.Equal(t, 1, fetches)

	got, err := refreshed(ctx, profiles, func(context.Context) (Profile, error) { return Profile{}, errors.New("down") })
	require.NoError(t, err)
	require.Equal(t, Profile{"Ann"}, got, "the value before")

	critical, expensive := decorated(locks, profiles,
		func(ctx context.Context, user string) (Profile, error) {
			lock, _ := core.FromContext(ctx)
			return Profile{lock.Key()}, nil
		},
		func(_ context.Context, symbol string) (Profile, error) { return Profile{symbol}, nil })
	got, err = critical(ctx, "7")
	require.NoError(t, err)
	require.Equal(t, Profile{"critical_operation_7"}, got)
	got, err = expensive(ctx, "SAP")
	require.NoError(t, err)
	require.Equal(t, Profile{"SAP"}, got)
}

func TestQuickStarts(t *testing.T) {
	orders, err := guard.New(guard.Config{Locks: manager(t), Key: keyfuncs.MustTemplate("order_<id>")})
	require.NoError(t, err)
	defer func() { require.NoError(t, orders.Close()) }()
	for name, router := range map[string]http.Handler{"echo": withEcho(orders), "ServeMux": withServeMux(orders), "chi": withChi(orders)} {
		rec := httptest.NewRecorder()
		router.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/orders/42/pay", nil))
		require.Equal(t, http.StatusOK, rec.Code, name)
		require.Contains(t, rec.Body.String(), "paying order 42 now", name)
	}
}

func TestWithoutALock(t *testing.T) {
	ctx, locks := t.Context(), manager(t)
	other := func(context.Context) error { return errors.New("the other one") }
	require.NoError(t, fallback(ctx, locks, func(context.Context) error { return nil }, other))

	profiles, err := degraded(locks, cache.NewMemory(1<<20))
	require.NoError(t, err)
	defer func() { require.NoError(t, profiles.Close()) }()
	got, err := lastKnown(ctx, profiles, func(context.Context) (Profile, error) { return Profile{"Ann"}, nil })
	require.NoError(t, err)
	require.Equal(t, Profile{"Ann"}, got)
}

func TestHealthAndMonitoring(t *testing.T) {
	locks, mux := manager(t), http.NewServeMux()
	require.NoError(t, healthy(t.Context(), locks))
	probes(mux, locks)
	for _, path := range []string{"/healthz", "/readyz"} {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusOK, rec.Code, path)
	}

	said := make(chan string, 1)
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
		select {
		case said <- string(line):
		default:
		}
		return len(line), nil
	}), nil)))
	defer slog.SetDefault(before)
	ctx, cancel := context.WithCancel(t.Context())
	var monitoring sync.WaitGroup
	monitoring.Go(func() { monitor(ctx, locks, time.Millisecond) })
	require.Contains(t, <-said, "held=0")
	cancel()
	monitoring.Wait()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestKeys(t *testing.T) {
	get := httptest.NewRequest(http.MethodGet, "/orders/42?q=go&page=2", nil)
	get.SetPathValue("id", "42")
	get.SetPathValue("symbol", "SAP")
	post := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"id":7}`))
	var invoice *http.Request
	authenticated(func(*http.Request) string { return "acme" },
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { invoice = r })).ServeHTTP(nil, post)
	all := append(keys(), search)
	for i, want := range []string{"order_42", "quote_sap_2", "acme:invoice_7", "search:?page=2&q=go"} {
		r := get
		if i == 2 {
			r = invoice
		}
		key, err := all[i](r)
		require.NoError(t, err)
		require.Equal(t, want, key)
	}

	engine := gin.New()
	engine.GET("/orders/:id", func(*gin.Context) {})
	require.Empty(t, checkRoutes(engine, "order_<id>"))
	require.Len(t, checkRoutes(engine, "order_<order>"), 1)
}

func TestChangedOrder(t *testing.T) {
	order := keyfuncs.MustTemplate("order_<id>")
	orders, err := guard.New(guard.Config{Locks: manager(t), Key: order, Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	require.NoError(t, err)
	defer func() { require.NoError(t, orders.Close()) }()
	runs, mux := 0, http.NewServeMux()
	mux.Handle("GET /orders/{id}", nethttplock.Wrap(orders, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runs++ })))
	get := func() {
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/42", nil))
	}
	get()
	get()
	require.Equal(t, 1, runs)
	require.NoError(t, changed(orders, order, "42"))
	get()
	require.Equal(t, 2, runs)
}

func TestDeployments(t *testing.T) {
	locks, err := secured("p@ss/word") // of hosts that are not there
	require.NoError(t, err)
	require.NoError(t, locks.Close())

	nodes := coretest.Embedded(t, 3)
	client := redis.NewClient(nodes.Node(2).Options())
	defer func() { require.NoError(t, client.Close()) }()
	cfgs := grouped(nodes.URLs()[0], nodes.URLs()[1], client, &redis.FailoverOptions{SentinelAddrs: []string{"127.0.0.1:1"}})
	locks, err = core.New(cfgs[0])
	require.NoError(t, err)
	require.Len(t, locks.Stats().Nodes, 3)
	require.NoError(t, locks.Close())
	require.NoError(t, cfgs[1].Clients[0].Close())
}
