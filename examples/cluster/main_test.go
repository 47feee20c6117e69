package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/servertest"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
)

// A closed go-redis pool whose server is down takes a second to notice.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func quote(t *testing.T, s *servertest.Server, symbol string) shop.Quote {
	t.Helper()
	answer := s.Do(http.MethodGet, "/quotes/"+symbol)
	require.NoError(t, answer.Err)
	require.Equal(t, http.StatusOK, answer.Status)
	var q shop.Quote
	require.NoError(t, json.Unmarshal(answer.Body, &q))
	require.Equal(t, symbol, q.Symbol)
	return q
}

func TestTwoTiers(t *testing.T) {
	cluster := coretest.Cluster(t, 3)
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	t.Setenv("REDIS_CLUSTER", cluster.Node(0).Addr())
	// Each has a shop of its own: a quote that both made would be the first of
	// its symbol twice, with a header that says so.
	here, there := servertest.Start(t, run), servertest.Start(t, run)
	const symbols = 12
	for i := range symbols {
		quote(t, here, fmt.Sprintf("S%d", i))
	}
	for i := range symbols {
		answer := there.Do(http.MethodGet, fmt.Sprintf("/quotes/S%d", i))
		require.Contains(t, answer.Header.Get("Cache-Status"), "hit", "what the other process stored")
	}
	for i, master := range cluster.All() {
		keys, err := master.Keys("dlm:")
		require.NoError(t, err)
		require.NotEmpty(t, keys, "master %d keeps its share", i)
	}

	// Gone from the Cluster, and from the memory of both.
	require.Equal(t, http.StatusNoContent, here.Do(http.MethodDelete, "/quotes/S1").Status)
	require.Equal(t, 2, quote(t, here, "S1").Made, "made again, by the one that had made it")
	require.Eventually(t, func() bool { return quote(t, there, "S1").Made == 2 }, servertest.Patience, time.Millisecond)

	// Without the Cluster every process goes on with what it remembers, and
	// makes what it does not.
	for _, master := range cluster.All() {
		require.NoError(t, master.Kill())
	}
	require.Equal(t, 2, quote(t, there, "S1").Made)
	require.Equal(t, 1, quote(t, there, "new").Made)
}

func TestWithoutACluster(t *testing.T) {
	t.Setenv("REDIS_CLUSTER", "")
	require.ErrorContains(t, run(t.Context(), nil), "REDIS_CLUSTER")
}
