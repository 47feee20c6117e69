// Command cacheproxy is a shared HTTP cache (RFC 9111) in front of any origin:
// httputil.ReverseProxy behind a Guard.
//
//	cacheproxy -origin http://127.0.0.1:8080 -listen 127.0.0.1:8081 -redis redis://127.0.0.1:6379
//
// Without -redis it brings an embedded node along, for a first look.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

func main() {
	var (
		origin = flag.String("origin", "", "URL of the origin server")
		listen = flag.String("listen", "127.0.0.1:8081", "address to listen on")
		nodes  = flag.String("redis", "", "URLs of independent Redis servers, separated by commas")
		fresh  = flag.Duration("fresh", time.Second, "freshness of responses that say nothing about it")
		stale  = flag.Duration("stale", 10*time.Second, "how long after that they may stand in")
	)
	flag.Parse()
	if err := run(*origin, *listen, *nodes, *fresh, *stale); err != nil {
		log.Fatal(err)
	}
}

func run(origin, listen, nodes string, fresh, stale time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	urls, closeNodes, err := redisNodes(nodes)
	if err != nil {
		return err
	}
	defer closeNodes()
	locks, err := core.New(core.Config{Nodes: urls})
	if err != nil {
		return err
	}
	defer func() { _ = locks.Close() }()
	handler, closeGuard, err := newProxy(origin, guard.Config{Locks: locks, Fresh: fresh, Stale: stale, Heuristic: 24 * time.Hour, ObeyClient: true})
	if err != nil {
		return err
	}
	defer func() { _ = closeGuard() }()

	server := newServer(handler, 10*time.Second)
	server.Addr = listen
	defer context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })()
	log.Printf("caching %s on http://%s", origin, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newServer gives a client so long for the fields of a request.
func newServer(h http.Handler, patience time.Duration) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: patience, MaxHeaderBytes: 64 << 10, IdleTimeout: 2 * time.Minute}
}

func redisNodes(list string) (urls []string, stop func(), err error) {
	if list != "" {
		return strings.Split(list, ","), func() {}, nil
	}
	embedded, err := coretest.StartEmbedded(1)
	if err != nil {
		return nil, nil, err
	}
	return embedded.URLs(), func() { _ = embedded.Close() }, nil
}
