// Package servertest runs the servers of examples in tests.
package servertest

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience is how long anything may take on a busy machine.
const Patience = 20 * time.Second

// host is what clients call every server, as behind a load balancer.
const host = "shop.example"

// Server is a running example.
type Server struct {
	URL    string
	client *http.Client
	stop   context.CancelFunc
	ended  <-chan error
}

// Start runs a server, which serves on the listener until the context ends, for
// as long as the test.
func Start(t *testing.T, run func(context.Context, net.Listener) error) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, listener)
		close(ended)
	}()
	transport := &http.Transport{}
	s := &Server{
		URL:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: Patience},
		stop:   stop, ended: ended,
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		s.RequireEnd(t)
	})
	return s
}

// Stop tells the server to end, as a signal does. It may be called again.
func (s *Server) Stop() { s.stop() }

// RequireEnd waits for the end of a server that was stopped. It may be called
// again.
func (s *Server) RequireEnd(t *testing.T) {
	t.Helper()
	select {
	case err, open := <-s.ended:
		if open {
			require.NoError(t, err)
		}
	case <-time.After(Patience):
		require.Fail(t, "the server does not end")
	}
}

// Answer is what a request came to.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error
}

// Do sends a request without a body.
func (s *Server) Do(method, path string) Answer {
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		return Answer{Err: err}
	}
	req.Host = host
	resp, err := s.client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, body, err}
}

// Burst sends n requests at once.
func (s *Server) Burst(n int, method, path string) <-chan Answer {
	answers := make(chan Answer, n)
	for range n {
		go func() { answers <- s.Do(method, path) }()
	}
	return answers
}
