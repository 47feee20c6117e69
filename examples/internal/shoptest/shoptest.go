// Package shoptest holds every example server to the same behaviour, over a
// socket.
package shoptest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/examples/internal/shop"
)

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

// Run holds a server, which serves on the listener until the context ends, to
// what its example says.
func Run(t *testing.T, run func(context.Context, net.Listener) error) {
	t.Setenv("REDIS_NODES", "")
	t.Run("no payment of an order is lost", func(t *testing.T) { noPaymentLost(t, start(t, run)) })
	t.Run("a quote is made once", func(t *testing.T) { oneQuote(t, start(t, run)) })
	t.Run("who waits is served before the end", func(t *testing.T) { servedBeforeTheEnd(t, start(t, run)) })
	t.Run("nodes that make no sense are refused", func(t *testing.T) { nodesRefused(t, run) })
}

// server is a running example.
type server struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	ended  <-chan error
}

func start(t *testing.T, run func(context.Context, net.Listener) error) *server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, listener)
		close(ended)
	}()
	transport := &http.Transport{}
	s := &server{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: patience},
		stop:   stop, ended: ended,
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		s.requireEnd(t)
	})
	return s
}

// requireEnd may be called again.
func (s *server) requireEnd(t *testing.T) {
	t.Helper()
	select {
	case err, open := <-s.ended:
		if open {
			require.NoError(t, err)
		}
	case <-time.After(patience):
		require.Fail(t, "the server does not end")
	}
}

type answer struct {
	status int
	body   []byte
	err    error
}

func (s *server) do(method, path string) answer {
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		return answer{err: err}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, body, err}
}

// burst sends n requests at once.
func (s *server) burst(n int, method, path string) <-chan answer {
	answers := make(chan answer, n)
	for range n {
		go func() { answers <- s.do(method, path) }()
	}
	return answers
}

// read decodes what a request that went well was answered.
func read[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	require.NoError(t, json.Unmarshal(a.body, &v))
	return v
}

func noPaymentLost(t *testing.T, s *server) {
	const n = 20
	answers := s.burst(n, http.MethodPost, "/orders/42/pay")
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
	require.Equal(t, 1, read[shop.Receipt](t, s.do(http.MethodPost, "/orders/43/pay")).Payments)
}

func oneQuote(t *testing.T, s *server) {
	const n = 20
	answers := s.burst(n, http.MethodGet, "/quotes/SAP")
	for range n {
		require.Equal(t, shop.Quote{Symbol: "SAP", Made: 1}, read[shop.Quote](t, <-answers))
	}
	require.Equal(t, "BAS", read[shop.Quote](t, s.do(http.MethodGet, "/quotes/BAS")).Symbol)
}

// servedBeforeTheEnd stops the server once the first of several payments was
// answered, when the others run, wait, or are turned away at the door.
func servedBeforeTheEnd(t *testing.T, s *server) {
	const n = 10
	answers := s.burst(n, http.MethodPost, "/orders/42/pay")
	served := []answer{<-answers}
	s.stop()
	for range n - 1 {
		if a := <-answers; a.err == nil {
			served = append(served, a)
		}
	}
	seen := map[int]bool{}
	for _, a := range served {
		seen[read[shop.Receipt](t, a).Payments] = true
	}
	require.Len(t, seen, len(served), "a payment was lost")
	s.requireEnd(t)
	require.Error(t, s.do(http.MethodGet, "/quotes/SAP").err, "the server still listens")
}

func nodesRefused(t *testing.T, run func(context.Context, net.Listener) error) {
	t.Setenv("REDIS_NODES", "http://example.com")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	require.ErrorContains(t, run(context.Background(), listener), "redis://")
}
