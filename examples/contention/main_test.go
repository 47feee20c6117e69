package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhoComesMeanwhileIsTold(t *testing.T) {
	nodes := coretest.Redis(t, 3)
	t.Setenv("REDIS_NODES", strings.Join(nodes.URLs(), ","))
	began, may := make(chan string), make(chan struct{})
	export := func(_ context.Context, customer string) (string, error) {
		began <- customer
		<-may
		return "all of " + customer, nil
	}
	var servers [2]*servertest.Server // that know of each other by Redis alone
	for i := range servers {
		servers[i] = servertest.Start(t, func(ctx context.Context, listener net.Listener) error { return run(ctx, listener, export) })
	}
	const path = "/customers/7/export"
	first := servers[0].Burst(1, http.MethodPost, path)
	require.Equal(t, "7", <-began)

	for _, s := range servers {
		told := s.Do(http.MethodPost, path)
		require.NoError(t, told.Err)
		require.Equal(t, http.StatusConflict, told.Status)
		require.Equal(t, "application/problem+json", told.Header.Get("Content-Type"))
		require.Equal(t, "1", told.Header.Get("Retry-After"))
		var p problem
		require.NoError(t, json.Unmarshal(told.Body, &p))
		require.Equal(t, http.StatusConflict, p.Status)
		require.NotNil(t, p.Since)
		require.WithinDuration(t, time.Now(), *p.Since, servertest.Patience)
	}

	other := servers[1].Burst(1, http.MethodPost, "/customers/8/export")
	require.Equal(t, "8", <-began, "another customer does not wait")
	close(may)
	require.Equal(t, "all of 7\n", string((<-first).Body))
	require.Equal(t, "all of 8\n", string((<-other).Body))

	again := servers[1].Burst(1, http.MethodPost, path)
	require.Equal(t, "7", <-began)
	require.Equal(t, http.StatusOK, (<-again).Status)

	for i := range 2 {
		require.NoError(t, nodes.Node(i).Kill())
	}
	outage := servers[0].Do(http.MethodPost, path)
	require.Equal(t, http.StatusServiceUnavailable, outage.Status, "nobody has the lock that anybody knows of")
	require.NotEqual(t, "application/problem+json", outage.Header.Get("Content-Type"))
}
