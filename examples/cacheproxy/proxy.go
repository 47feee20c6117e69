package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

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
	transport := newTransport()
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, target) },
		Transport:      transport,
		ModifyResponse: keepWhole,
	}
	stop := func() error {
		defer transport.CloseIdleConnections() // also those of the last refreshes
		return g.Close()
	}
	return receive(nethttplock.Wrap(g, proxy)), stop, nil
}

func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	// It would ask for gzip on behalf of clients that do not, and hand them what it
	// unpacked under the entity tag of the packed form.
	t.DisableCompression = true
	t.MaxIdleConnsPerHost = 64
	t.MaxResponseHeaderBytes = 1 << 20
	return t
}

// rewrite makes the origin's request of one that receive has been through. The
// target is the client's (RFC 9110 §7.7), and so is a query that Go cannot parse.
func rewrite(r *httputil.ProxyRequest, target *url.URL) {
	r.SetURL(target)
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, name := range forwardedFields {
		r.Out.Header[name] = r.In.Header[name]
	}
	via := strings.TrimPrefix(r.In.Proto, "HTTP/") + " dlm" // RFC 9110 §7.6.3
	r.Out.Header.Set("Via", strings.Join(append(r.Out.Header["Via"], via), ", "))
}

// receive answers what is for the proxy itself, and tells next of every other
// request what the origin will see of it: that is what Vary compares.
func receive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left, limited := maxForwards(r)
		switch {
		case r.Method == http.MethodConnect:
			w.WriteHeader(http.StatusNotImplemented) // no tunnels
		case limited && left == 0 && r.Method == http.MethodTrace:
			w.WriteHeader(http.StatusMethodNotAllowed) // it would show what is between here and the client
		case limited && left == 0:
			w.WriteHeader(http.StatusNoContent)
		default:
			r = forwarded(r)
			if limited {
				r.Header.Set("Max-Forwards", strconv.FormatUint(left-1, 10))
			}
			next.ServeHTTP(w, r)
		}
	})
}

// maxForwards is how many more times a TRACE or OPTIONS may be forwarded, where
// it says so (RFC 9110 §7.6.2).
func maxForwards(r *http.Request) (left uint64, limited bool) {
	if r.Method != http.MethodTrace && r.Method != http.MethodOptions {
		return 0, false
	}
	left, err := strconv.ParseUint(r.Header.Get("Max-Forwards"), 10, 63)
	return left, err == nil
}

var forwardedFields = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forwarded is r with fields of the proxy's own about the client, none of which
// is believed from the client.
func forwarded(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	r.Header.Del("Forwarded")
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	for i, value := range [...]string{address, r.Host, scheme} {
		r.Header[forwardedFields[i]] = []string{value}
	}
	return r
}

// keepWhole lets a response of unknown length be stored: ReverseProxy flushes
// every piece of one, and what is flushed is not stored.
func keepWhole(r *http.Response) error {
	if r.ContentLength < 0 && !streams(r.Header) {
		r.ContentLength = 0
	}
	return nil
}

// streams reports whether a client may be waiting for a response that has not
// ended yet: of unknown length, and nothing a shared cache may keep.
func streams(h http.Header) bool {
	control := strings.ToLower(strings.Join(h["Cache-Control"], ","))
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") ||
		strings.Contains(control, "no-store") || strings.Contains(control, "private")
}
