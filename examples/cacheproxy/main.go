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
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
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

	server := &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })()
	log.Printf("caching %s on http://%s", origin, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newProxy is the cache: one lock and one identity per target.
func newProxy(origin string, cfg guard.Config) (http.Handler, func() error, error) {
	target, err := url.Parse(origin)
	if err != nil || target.Host == "" {
		return nil, nil, fmt.Errorf("-origin %q: want a URL such as http://127.0.0.1:8080", origin)
	}
	cfg.Key = func(r *http.Request) (string, error) { return r.Host + r.URL.RequestURI(), nil }
	g, err := guard.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			if r.ContentLength < 0 && !streams(r.Header) {
				r.ContentLength = 0 // or ReverseProxy flushes every piece, and what is flushed is not stored
			}
			return nil
		},
	}
	return nethttplock.Wrap(g, proxy), g.Close, nil
}

// streams reports whether a client may be waiting for a response that has not
// ended yet: of unknown length, and nothing a shared cache may keep.
func streams(h http.Header) bool {
	control := strings.ToLower(strings.Join(h["Cache-Control"], ","))
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") ||
		strings.Contains(control, "no-store") || strings.Contains(control, "private")
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
