package guardtest

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

// patience is how long anything that should happen may take on a busy machine.
const patience = 20 * time.Second

// env is what one behaviour runs in.
type env struct {
	*testing.T
	adapter Adapter
	locks   *core.Manager
	http2   bool
	chain   bool
}

var errNoID = errors.New("no id")

// byID is the key of most behaviours: the route parameter id.
func byID(r *http.Request) (string, error) {
	if id := r.PathValue("id"); id != "" {
		return "id_" + id, nil
	}
	return "", errNoID
}

// guard fills in what a behaviour does not care about. Every behaviour has
// keys of its own.
func (e *env) guard(cfg guard.Config) *guard.Guard {
	e.Helper()
	if cfg.Locks == nil {
		cfg.Locks = e.locks
	}
	if cfg.Key == nil && cfg.Idempotent == nil {
		cfg.Key = byID
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler) // panics are part of the table
	}
	cfg.Namespace += e.Name()
	g, err := guard.New(cfg)
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, g.Close()) })
	return g
}

// site is a running application and a client of it.
type site struct {
	*env
	url    string
	client *http.Client
	app    http.Handler

	inside *atomic.Int64 // requests in the application
}

// serve runs an application with these routes.
func (e *env) serve(routes ...Route) *site {
	for i := range routes {
		routes[i].Chain = e.chain
	}
	return e.serveHandler(e.adapter.App(routes))
}

func (e *env) serveHandler(h http.Handler) *site {
	inside := new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		h.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(e.serverLog(), "", 0)
	if e.http2 {
		var err error
		server.TLS, err = tlsConfig()
		require.NoError(e, err)
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	e.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	client := server.Client()
	client.Timeout = patience
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	transport := client.Transport.(*http.Transport)
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 100
	e.Cleanup(transport.CloseIdleConnections)
	return &site{env: e, url: server.URL, client: client, app: h, inside: inside}
}

// serverLog is what a server says, which is told where a test has failed: panics
// are part of the table.
type serverLog struct {
	mu   sync.Mutex
	said strings.Builder // guarded by mu
}

func (e *env) serverLog() *serverLog {
	l := new(serverLog)
	e.Cleanup(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if e.Failed() && l.said.Len() > 0 {
			e.Logf("the server said:\n%s", &l.said)
		}
	})
	return l
}

// Write implements io.Writer.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

// route is a GET route /x/{id}, guarded by g.
func route(g *guard.Guard, h http.HandlerFunc) Route {
	return Route{Method: http.MethodGet, Pattern: "/x/{id}", Guard: g, Handler: h}
}

// answer is a response read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of the exchange or of the body
}

func (s *site) get(path string, header ...string) answer {
	return s.do(context.Background(), http.MethodGet, path, nil, header...)
}

func (s *site) do(ctx context.Context, method, path string, body io.Reader, header ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Add(header[i], header[i+1])
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{Response: resp, body: string(text), err: err}
}

// each sends n requests at once and returns the answers.
func (s *site) each(n int, path func(i int) string) []answer {
	answers := make([]answer, n)
	done := make(chan struct{})
	for i := range n {
		go func() {
			answers[i] = s.get(path(i))
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	return answers
}

// requireInside waits until n requests are in the application: those that have
// come, less those that are answered or gone.
func (s *site) requireInside(n int64) {
	s.Helper()
	require.Eventually(s, func() bool { return s.inside.Load() == n }, patience, time.Millisecond, "requests in the application")
}

func (s *site) ok(a answer) answer {
	s.Helper()
	require.NoError(s, a.err)
	require.Equal(s, http.StatusOK, a.StatusCode, a.body)
	return a
}

func (s *site) status(code int, a answer) answer {
	s.Helper()
	require.NoError(s, a.err)
	require.Equal(s, code, a.StatusCode, a.body)
	return a
}

// receive waits for what must come.
func receive[T any](e *env, c <-chan T, what string) (v T) {
	e.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(e, "waited in vain", what)
	}
	return v
}

// overlap counts how many run at once, and how many ran.
type overlap struct{ now, most, runs atomic.Int64 }

func (o *overlap) enter() (leave func()) {
	o.runs.Add(1)
	now := o.now.Add(1)
	for {
		most := o.most.Load()
		if now <= most || o.most.CompareAndSwap(most, now) {
			break
		}
	}
	return func() { o.now.Add(-1) }
}

// gate is a handler that says when it runs and ends when it may.
type gate struct {
	entered chan *http.Request
	leave   chan struct{}
}

func newGate() *gate { return &gate{make(chan *http.Request, 64), make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.entered <- r
	select {
	case <-g.leave:
	case <-r.Context().Done():
	}
	_, _ = io.WriteString(w, "through")
}

// goGet sends a request without waiting for its answer.
func (s *site) goGet(ctx context.Context, path string) <-chan answer {
	c := make(chan answer, 1)
	go func() { c <- s.do(ctx, http.MethodGet, path, nil) }()
	return c
}

func at(path string) func(int) string { return func(int) string { return path } }

func repeat(s string, n int) string { return strings.Repeat(s, n) }
