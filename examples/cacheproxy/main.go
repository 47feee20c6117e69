// Command cacheproxy is a shared HTTP cache (RFC 9111) in front of any origin:
// httputil.ReverseProxy behind a Guard.
//
//	cacheproxy -origin http://127.0.0.1:8080 -listen 127.0.0.1:8081 -redis redis://127.0.0.1:6379
//
// Without -redis it brings an embedded node along, for a first look.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/examples/internal/web"
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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		log.Printf("caching %s on http://%s", *origin, listener.Addr())
		err = run(ctx, listener, *origin, *nodes, *fresh, *stale)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listener net.Listener, origin, nodes string, fresh, stale time.Duration) error {
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
	handler, closeGuard, err := newProxy(origin, guard.Config{
		Locks: locks, Fresh: fresh, Stale: stale, Heuristic: 24 * time.Hour, ObeyClient: true,
		TargetedControl: []string{"CDN-Cache-Control"}, // the one of RFC 9213 §3.1
	})
	if err != nil {
		return err
	}
	defer func() { _ = closeGuard() }()

	return web.Run(ctx, listener, newServer(handler, 10*time.Second))
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
