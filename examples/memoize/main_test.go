package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is what lookUp stands for, with a switch.
type service struct {
	calls atomic.Int64
	asked chan struct{} // a call has begun
	may   chan error    // how it ends
}

func (s *service) lookUp(ctx context.Context, currency string) (rate, error) {
	n := s.calls.Add(1)
	s.asked <- struct{}{}
	select {
	case err := <-s.may:
		return rate{Currency: currency, Price: float64(n)}, err
	case <-ctx.Done():
		return rate{}, ctx.Err()
	}
}

func (s *service) awaitCall(t *testing.T) {
	t.Helper()
	select {
	case <-s.asked:
	case <-time.After(servertest.Patience):
		require.FailNow(t, "nobody asks the service")
	}
}

// fleet starts two servers that know of each other by Redis alone.
func fleet(t *testing.T, s *service, fresh time.Duration) (servers [2]*servertest.Server) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	for i := range servers {
		servers[i] = servertest.Start(t, func(ctx context.Context, listener net.Listener) error {
			return run(ctx, listener, s.lookUp, fresh)
		})
	}
	return servers
}

// priceOf is 0 unless all went well.
func priceOf(a servertest.Answer) float64 {
	var r rate
	if a.Err == nil && a.Status == http.StatusOK {
		_ = json.Unmarshal(a.Body, &r)
	}
	return r.Price
}

func price(s *servertest.Server) float64 { return priceOf(s.Do(http.MethodGet, "/rates/USD")) }

func TestOneCallForTheFleet(t *testing.T) {
	s := &service{asked: make(chan struct{}, 10), may: make(chan error, 10)}
	servers := fleet(t, s, time.Hour)
	const n = 25
	here, there := servers[0].Burst(n, http.MethodGet, "/rates/USD"), servers[1].Burst(n, http.MethodGet, "/rates/USD")
	s.awaitCall(t)
	s.may <- nil
	for range n {
		require.Equal(t, 1.0, priceOf(<-here))
		require.Equal(t, 1.0, priceOf(<-there))
	}
	require.EqualValues(t, 1, s.calls.Load())

	require.Equal(t, http.StatusNotFound, servers[0].Do(http.MethodGet, "/rates/XXX").Status)
	require.EqualValues(t, 1, s.calls.Load())
}

func TestOldRatesMeanwhileAndInAnEmergency(t *testing.T) {
	s := &service{asked: make(chan struct{}, 10), may: make(chan error, 10)}
	servers := fleet(t, s, time.Millisecond)
	s.may <- nil
	require.Equal(t, 1.0, price(servers[0]))
	s.awaitCall(t)

	// The second call is under way: nobody waits for it, in neither process.
	requireAsked(t, s, servers[1])
	for i := range 20 {
		require.Equal(t, 1.0, price(servers[i%2]))
	}
	require.EqualValues(t, 2, s.calls.Load())
	s.may <- errors.New("down for maintenance")

	// It failed, so the old rate goes on to be served until a later call works.
	requireAsked(t, s, servers[0])
	s.may <- nil
	require.Eventually(t, func() bool { return price(servers[1]) == 3 }, servertest.Patience, time.Millisecond)
}

// requireAsked requests the first rate until the service is asked for another.
func requireAsked(t *testing.T, s *service, server *servertest.Server) {
	t.Helper()
	deadline := time.Now().Add(servertest.Patience)
	for len(s.asked) == 0 {
		require.Equal(t, 1.0, price(server))
		require.True(t, time.Now().Before(deadline), "nobody asks the service")
	}
	s.awaitCall(t)
}
