// Package shoptest holds every example server to the same behaviour, over a
// socket.
package shoptest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/examples/internal/servertest"
	"github.com/market-intel-brain/dlm/examples/internal/shop"
)

// Run holds a server, which serves on the listener until the context ends, to
// what its example says.
func Run(t *testing.T, run func(context.Context, net.Listener) error) {
	t.Setenv("REDIS_NODES", "")
	t.Run("no payment of an order is lost", func(t *testing.T) { noPaymentLost(t, servertest.Start(t, run)) })
	t.Run("a quote is made once", func(t *testing.T) { oneQuote(t, servertest.Start(t, run)) })
	t.Run("who waits is served before the end", func(t *testing.T) { servedBeforeTheEnd(t, servertest.Start(t, run)) })
	t.Run("nodes that make no sense are refused", func(t *testing.T) { nodesRefused(t, run) })
}

// read decodes what a request that went well was answered.
func read[T any](t *testing.T, a servertest.Answer) (v T) {
	t.Helper()
	require.NoError(t, a.Err)
	require.Equal(t, http.StatusOK, a.Status, string(a.Body))
	require.NoError(t, json.Unmarshal(a.Body, &v))
	return v
}

func noPaymentLost(t *testing.T, s *servertest.Server) {
	const n = 20
	answers := s.Burst(n, http.MethodPost, "/orders/42/pay")
	tokens := map[int]uint64{}
	for range n {
		receipt := read[shop.Receipt](t, <-answers)
		require.Equal(t, "42", receipt.Order)
		require.NotContains(t, tokens, receipt.Payments, "two payments were the same one of the order")
		tokens[receipt.Payments] = receipt.Token
	}
	for payment := 2; payment <= n; payment++ {
		require.Greater(t, tokens[payment], tokens[payment-1], "fencing token of payment %d", payment)
	}
	require.Equal(t, 1, read[shop.Receipt](t, s.Do(http.MethodPost, "/orders/43/pay")).Payments)
}

func oneQuote(t *testing.T, s *servertest.Server) {
	const n = 20
	answers := s.Burst(n, http.MethodGet, "/quotes/SAP")
	for range n {
		require.Equal(t, shop.Quote{Symbol: "SAP", Made: 1}, read[shop.Quote](t, <-answers))
	}
	require.Equal(t, "BAS", read[shop.Quote](t, s.Do(http.MethodGet, "/quotes/BAS")).Symbol)
}

// servedBeforeTheEnd stops the server once the first of several payments was
// answered, when the others run, wait, or are turned away at the door.
func servedBeforeTheEnd(t *testing.T, s *servertest.Server) {
	const n = 10
	answers := s.Burst(n, http.MethodPost, "/orders/42/pay")
	served := []servertest.Answer{<-answers}
	s.Stop()
	for range n - 1 {
		if a := <-answers; a.Err == nil {
			served = append(served, a)
		}
	}
	seen := map[int]bool{}
	for _, a := range served {
		seen[read[shop.Receipt](t, a).Payments] = true
	}
	require.Len(t, seen, len(served), "a payment was lost")
	s.RequireEnd(t)
	require.Error(t, s.Do(http.MethodGet, "/quotes/SAP").Err, "the server still listens")
}

func nodesRefused(t *testing.T, run func(context.Context, net.Listener) error) {
	t.Setenv("REDIS_NODES", "http://example.com")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	require.ErrorContains(t, run(context.Background(), listener), "redis://")
}
