package guard_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

type healthJSON struct {
	Status         string
	Quorum, Voting int
	Error          string
	Nodes          []struct {
		Node   string
		Voting bool
		Reason string
	}
}

func askHealth(t *testing.T, h http.Handler) (int, healthJSON) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	var v healthJSON
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	return w.Code, v
}

func TestHealthAndReadinessOverAnOutage(t *testing.T) {
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer locks.Close()
	health, ready := guard.HealthHandler(locks), guard.ReadinessHandler(locks)

	for _, h := range []http.Handler{health, ready} {
		require.Eventually(t, func() bool { _, v := askHealth(t, h); return v.Voting == 3 }, 20*time.Second, 10*time.Millisecond)
		code, v := askHealth(t, h)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, "ok", v.Status)
		require.Equal(t, 2, v.Quorum)
		require.Equal(t, 3, v.Voting)
		require.Len(t, v.Nodes, 3)
	}

	require.NoError(t, nodes.Node(0).Kill())
	require.NoError(t, nodes.Node(2).Kill())
	require.Eventually(t, func() bool {
		code, v := askHealth(t, ready)
		return code == http.StatusServiceUnavailable && v.Status == "unavailable" && v.Voting == 1 && v.Error != ""
	}, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		code, v := askHealth(t, health)
		return code == http.StatusOK && v.Voting == 1 && v.Nodes[0].Reason != ""
	}, 20*time.Second, 10*time.Millisecond, "alive all the same")

	require.NoError(t, locks.Close())
	for _, h := range []http.Handler{health, ready} {
		require.Eventually(t, func() bool {
			code, v := askHealth(t, h)
			return code == http.StatusServiceUnavailable && v.Nodes != nil && len(v.Nodes) == 0
		}, 20*time.Second, 10*time.Millisecond)
	}
}

func TestHealthAsksTheNodesOnceASecond(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	require.NoError(t, err)
	defer locks.Close()
	ready := guard.ReadinessHandler(locks)
	require.NoError(t, nodes.Node(0).ResetCommandCalls())
	began := time.Now()
	for range 1000 {
		askHealth(t, ready)
	}
	calls, err := nodes.Node(0).CommandCalls()
	require.NoError(t, err)
	require.Positive(t, calls["ping"])
	require.LessOrEqual(t, calls["ping"], int64(time.Since(began)/time.Second)+1)
}

func TestHealthIsReadOnly(t *testing.T) {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	defer locks.Close()
	w := httptest.NewRecorder()
	guard.HealthHandler(locks).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Panics(t, func() { guard.HealthHandler(nil) })
	require.Panics(t, func() { guard.ReadinessHandler(nil) })
}

func ExampleReadinessHandler() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		panic(err)
	}
	defer nodes.Close()
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	defer locks.Close()

	mux := http.NewServeMux()
	mux.Handle("GET /healthz", guard.HealthHandler(locks))
	mux.Handle("GET /readyz", guard.ReadinessHandler(locks))
	_ = http.ListenAndServe("localhost:8081", mux)
}

func ExampleHealthHandler() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		panic(err)
	}
	locks, err := core.New(core.Config{Nodes: nodes.URLs()})
	if err != nil {
		panic(err)
	}
	defer locks.Close()
	if err := nodes.Close(); err != nil {
		panic(err)
	}

	w := httptest.NewRecorder()
	guard.HealthHandler(locks).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	fmt.Println(w.Code, "though no node is there: a restart of this process would not mend that")
	// Output: 200 though no node is there: a restart of this process would not mend that
}
