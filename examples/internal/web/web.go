// Package web serves the examples that are about something else. A service that
// ends well is examples/shutdown.
package web

import (
	"context"
	"net"
	"net/http"
	"time"
)

const grace = 15 * time.Second

// Serve serves until ctx ends, and then whoever is being served or waits for a
// lock.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return Run(ctx, listener, &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second})
}

// Run is Serve with a server of the caller's.
func Run(ctx context.Context, listener net.Listener, server *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		return server.Shutdown(ending)
	}
}
