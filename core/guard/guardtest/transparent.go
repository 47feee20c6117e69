package guardtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var transparent = []behaviour{
	{name: "a flush reaches the client while the handler runs", test: flushes},
	{name: "a connection can be hijacked", test: hijacks, only: "h1"},
	{name: "a protocol can be switched", test: upgrades, only: "h1"},
	{name: "http.ResponseController sets deadlines", test: deadlines},
	{name: "io.Copy from a file-like reader", test: readsFrom},
	{name: "trailers arrive", test: trailers},
	{name: "1xx responses arrive", test: earlyHints},
	{name: "a request body arrives whole, larger and smaller than ReadAhead", test: bodies},
	{name: "a slow request body holds no lock", test: slowBody},
	{name: "a slow request body holds no lock by asking for another protocol", test: slowBodyOfUpgrade, only: "h1"},
	{name: "HEAD has headers and no content", test: head},
}

func flushes(e *env) {
	proceed := make(chan struct{})
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			e.Error(err)
		}
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "data: 2\n\n")
	}))
	resp, err := s.client.Get(s.url + "/x/1")
	require.NoError(s, err)
	defer func() { _ = resp.Body.Close() }()
	body := bufio.NewReader(resp.Body)
	line, err := body.ReadString('\n')
	require.NoError(s, err)
	require.Equal(s, "data: 1\n", line)
	close(proceed)
	rest, err := io.ReadAll(body)
	require.NoError(s, err)
	require.Equal(s, "\ndata: 2\n\n", string(rest))
}

func hijacks(e *env) {
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			e.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 299 Mine\r\nContent-Length: 2\r\n\r\nhi")
	}))
	require.Equal(s, "hi", s.status(299, s.get("/x/1")).body)
}

func upgrades(e *env) {
	e.serve(route(e.guard(guard.Config{}), switchProtocol(e))).requireSwitched()
}

// switchProtocol takes the connection over, as libraries for WebSocket do, and
// returns the line it is sent.
func switchProtocol(e *env) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			e.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}
}

func (s *site) requireSwitched() {
	s.Helper()
	conn := s.dial()
	_, err := fmt.Fprintf(conn, "GET /x/1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(s, err)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(s, err)
	require.Equal(s, http.StatusSwitchingProtocols, resp.StatusCode)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(s, err)
	line, err := in.ReadString('\n')
	require.NoError(s, err)
	require.Equal(s, "hello\n", line)
}

// dial opens a bare connection.
func (s *site) dial() net.Conn {
	u, err := url.Parse(s.url)
	require.NoError(s, err)
	var conn net.Conn
	if u.Scheme == "https" {
		config := s.client.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.NextProtos, config.ServerName = []string{"http/1.1"}, "example.com"
		conn, err = tls.Dial("tcp", u.Host, config)
	} else {
		conn, err = net.Dial("tcp", u.Host)
	}
	require.NoError(s, err)
	s.Cleanup(func() { _ = conn.Close() })
	require.NoError(s, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func deadlines(e *env) {
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			e.Error(err)
		}
		if err := rc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			e.Error(err)
		}
	}))
	s.ok(s.get("/x/1"))
}

func readsFrom(e *env) {
	text := repeat("0123456789abcdef", 1<<12)
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		if n, err := io.Copy(w, strings.NewReader(text)); err != nil || n != int64(len(text)) {
			e.Errorf("copied %d, %v", n, err)
		}
	}))
	require.Equal(s, text, s.ok(s.get("/x/1")).body)
}

func trailers(e *env) {
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "content")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "43")
	}))
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "42", a.Trailer.Get("X-Sum"))
	require.Equal(s, "43", a.Trailer.Get("X-Late"))
}

func earlyHints(e *env) {
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		rawWriter(w).WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "content")
	}))
	hints := make(chan string, 1)
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints <- h.Get("Link")
			}
			return nil
		},
	})
	require.Equal(s, "content", s.ok(s.do(ctx, http.MethodGet, "/x/1", nil)).body)
	require.Contains(s, receive(e, hints, "the 103"), "style.css")
}

// rawWriter steps below writers of frameworks that take a 1xx for the final
// status, as gin's and echo's do; below the guard's writer it must not step.
func rawWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		if _, framework := w.(interface{ Status() int }); !framework {
			if _, framework = w.(interface{ Before(func()) }); !framework {
				return w
			}
		}
		w = w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
	}
}

func bodies(e *env) {
	g := e.guard(guard.Config{ReadAhead: 1 << 10})
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			e.Error(err)
		}
		_, _ = w.Write(body)
	}})
	for _, size := range []int{0, 1, 1<<10 - 1, 1 << 10, 1<<10 + 1, 1 << 17} {
		text := repeat("x", size)
		known := s.do(context.Background(), http.MethodPost, "/x/1", strings.NewReader(text))
		require.Equal(s, text, s.ok(known).body)
		unknown := s.do(context.Background(), http.MethodPost, "/x/1", io.MultiReader(strings.NewReader(text)))
		require.Equal(s, text, s.ok(unknown).body)
	}
}

func slowBody(e *env) { e.requireNoLockFor(http.Header{}) }

func slowBodyOfUpgrade(e *env) {
	e.requireNoLockFor(http.Header{"Connection": {"Upgrade"}, "Upgrade": {"h2c"}})
}

// requireNoLockFor sends a body with these fields in two pieces, and a whole request in
// between.
func (e *env) requireNoLockFor(header http.Header) {
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: e.guard(guard.Config{}), Handler: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}})
	reader, writer := io.Pipe()
	slow := make(chan answer, 1)
	go func() {
		req, err := http.NewRequest(http.MethodPost, s.url+"/x/1", reader)
		if err != nil {
			slow <- answer{err: err}
			return
		}
		req.ContentLength, req.Header = 4, header
		resp, err := s.client.Do(req)
		if err != nil {
			slow <- answer{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		slow <- answer{Response: resp, body: string(body), err: err}
	}()
	_, err := io.WriteString(writer, "ab") // returns when the transport took it
	require.NoError(s, err)
	s.requireInside(1)
	fast := s.do(context.Background(), http.MethodPost, "/x/1", bytes.NewReader([]byte("fast")))
	require.Equal(s, "fast", s.ok(fast).body)
	_, err = io.WriteString(writer, "cd")
	require.NoError(s, err)
	require.NoError(s, writer.Close())
	require.Equal(s, "abcd", s.ok(receive(e, slow, "the slow answer")).body)
}

func head(e *env) {
	s := e.serve(Route{Method: http.MethodHead, Pattern: "/x/{id}", Guard: e.guard(guard.Config{}), Handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "7")
	}})
	a := s.ok(s.do(context.Background(), http.MethodHead, "/x/1", nil))
	require.Equal(s, "7", a.Header.Get("Content-Length"))
	require.Empty(s, a.body)
}
