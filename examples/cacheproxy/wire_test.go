package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

// patience is how long anything that should happen may take on a busy machine.
const patience = 20 * time.Second

// wireOrigin is an origin that answers byte for byte what say returns, and hangs
// up after it where that ends in hangUp.
type wireOrigin struct {
	url    string
	listen net.Listener

	mu    sync.Mutex
	asked []heard               // guarded by mu; in the order they came
	conns map[net.Conn]struct{} // guarded by mu
	gone  sync.WaitGroup
}

// heard is a request as the origin got it.
type heard struct {
	*http.Request
	body string
}

const hangUp = "<hang up>"

func newWireOrigin(t *testing.T, say func(r heard, run int) string) *wireOrigin {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o := &wireOrigin{url: "http://" + listen.Addr().String(), listen: listen, conns: map[net.Conn]struct{}{}}
	o.gone.Go(func() { o.accept(say) })
	t.Cleanup(func() { o.stop(); o.gone.Wait() })
	return o
}

func (o *wireOrigin) accept(say func(heard, int) string) {
	for {
		conn, err := o.listen.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.conns[conn] = struct{}{}
		o.mu.Unlock()
		o.gone.Go(func() {
			defer func() { _ = conn.Close() }()
			o.converse(conn, say)
		})
	}
}

func (o *wireOrigin) converse(conn net.Conn, say func(heard, int) string) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		text, last := strings.CutSuffix(say(o.note(heard{r, string(body)})), hangUp)
		if _, err := io.WriteString(conn, text); err != nil || last {
			return
		}
	}
}

func (o *wireOrigin) note(r heard) (heard, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r)
	return r, len(o.asked)
}

// heard are the requests that have come.
func (o *wireOrigin) heard() []heard {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]heard(nil), o.asked...)
}

// stop refuses connections from now on, and ends those there are.
func (o *wireOrigin) stop() {
	_ = o.listen.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for conn := range o.conns {
		_ = conn.Close()
	}
}

// newFrontOf is a cacheproxy in front of the origin at url.
func newFrontOf(t *testing.T, cfg guard.Config, url string) *front {
	t.Helper()
	return newFrontServedBy(t, cfg, url, patience)
}

// newFrontServedBy is newFrontOf with so long for clients to send their fields.
func newFrontServedBy(t *testing.T, cfg guard.Config, url string, forFields time.Duration) *front {
	t.Helper()
	if cfg.Locks == nil {
		locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, locks.Close()) })
		cfg.Locks = locks
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = time.Nanosecond
	}
	handler, stop, err := newProxy(url, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(handler, forFields)
	server.Start()
	t.Cleanup(server.Close)
	return &front{t, server.URL}
}

// client is a connection to the cacheproxy on which requests are written as they
// stand. It is opened anew when it was closed.
type client struct {
	*front
	conn net.Conn
	in   *bufio.Reader
}

func (f *front) client() *client {
	c := &client{front: f}
	f.Cleanup(c.close)
	return c
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// write sends bytes; what the proxy does not want to hear any more is no failure.
func (c *client) write(raw string) {
	c.Helper()
	if c.conn == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(c, err)
		require.NoError(c, conn.SetDeadline(time.Now().Add(patience)))
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	_, _ = io.WriteString(c.conn, raw)
}

var errClosed = errors.New("closed")

// read reads one response, interim ones left out.
func (c *client) read(method string) (*http.Response, string, error) {
	c.Helper()
	for {
		resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			c.close()
			return nil, "", errors.Join(errClosed, err)
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if resp.Close || err != nil {
			c.close()
		}
		return resp, string(body), err
	}
}

// ask sends one request and reads its whole response.
func (c *client) ask(raw string) (*http.Response, string) {
	c.Helper()
	c.write(raw)
	method, _, _ := strings.Cut(raw, " ")
	resp, body, err := c.read(method)
	require.NoError(c, err, "%.200q", raw)
	return resp, body
}
