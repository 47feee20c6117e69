package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

// answerOf is a response with these fields, a line each, and content of known
// length.
func answerOf(status, fields, body string) string {
	for line := range strings.Lines(dated(fields)) {
		status += "\r\n" + strings.TrimSuffix(line, "\n")
	}
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// echoing answers with the request as the origin got it, to be kept for an hour.
func echoing(r heard, _ int) string {
	return answerOf("200 OK", fresh, r.Method+" "+r.RequestURI+" "+r.body)
}

// RFC 9110 §7.6: what a proxy takes away, adds and leaves alone.
func TestForwardedRequest(t *testing.T) {
	o := newWireOrigin(t, echoing)
	c := newFrontOf(t, guard.Config{}, o.url).client()
	c.ask("GET /a HTTP/1.1\r\nHost: shop.example\r\nVia: 1.0 outer\r\nConnection: X-Hop, X-Forwarded-For\r\nX-Hop: 1\r\nTE: gzip\r\nKeep-Alive: 1\r\n" +
		"Proxy-Authorization: Basic x\r\nProxy-Connection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=6\r\nX-Other: 1\r\n\r\n")
	got := o.heard()[0]
	for _, name := range []string{"Connection", "X-Hop", "Te", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Forwarded", "Accept-Encoding", "User-Agent"} {
		assert.Empty(t, got.Header[name], name)
	}
	for name, want := range map[string]string{
		"Via": "1.0 outer, 1.1 dlm", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "http", "X-Other": "1",
	} {
		assert.Equal(t, []string{want}, got.Header[name], name)
	}
}

// RFC 9110 §7.7: the path and the query go on as they came, and name what is
// stored.
func TestForwardedTarget(t *testing.T) {
	o := newWireOrigin(t, echoing)
	c := newFrontOf(t, guard.Config{}, o.url).client()
	for _, target := range []string{
		"/", "/?", "/a?", "/a?b;c", "/a?%zz=1&b=2", "/a?b=%", "/a?b=c&b=c", "/a//b", "//a", "/./a", "/../a", "/%2e%2e/a", "/a%2Fb", "/a%2fb", "/a%00",
		"/a?b#c", "/a%23c", "/A", "/a;b=c", "/'", "/a%C3%A9", "/a?=", "/a?&", "/*",
	} {
		for range 2 {
			_, body := c.ask("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
			assert.Equal(t, "GET "+target+" ", body)
		}
	}
	_, body := c.ask("GET http://other.example/abs?q HTTP/1.1\r\nHost: x\r\n\r\n")
	assert.Equal(t, "GET /abs?q ", body)
	all := o.heard()
	assert.Equal(t, "other.example", all[len(all)-1].Header.Get("X-Forwarded-Host"))
	assert.Len(t, all, 25, "each target once")
}

// What the proxy answers itself, and how far OPTIONS and TRACE go.
func TestForwardedMethods(t *testing.T) {
	o := newWireOrigin(t, echoing)
	c := newFrontOf(t, guard.Config{}, o.url).client()
	for _, row := range []struct {
		request string
		status  int
		left    string // Max-Forwards at the origin; "no" where it hears nothing
	}{
		{"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n", 501, "no"},
		{"CONNECT / HTTP/1.1\r\nHost: x\r\n", 501, "no"},
		{"OPTIONS * HTTP/1.1\r\nHost: x\r\n", 200, "no"},
		{"OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n", 204, "no"},
		{"OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 3\r\n", 200, "2"},
		{"OPTIONS / HTTP/1.1\r\nHost: x\r\n", 200, ""},
		{"TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n", 405, "no"},
		{"TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 1\r\n", 200, "0"},
		{"TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: -1\r\n", 200, "-1"},
		{"GET /max HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n", 200, "0"},
		{"PROPFIND / HTTP/1.1\r\nHost: x\r\n", 200, ""},
		{"get / HTTP/1.1\r\nHost: x\r\n", 200, ""},
	} {
		before := len(o.heard())
		resp, _ := c.ask(row.request + "\r\n")
		assert.Equal(t, row.status, resp.StatusCode, row.request)
		heard := o.heard()[before:]
		if row.left == "no" {
			assert.Empty(t, heard, row.request)
		} else if assert.Len(t, heard, 1, row.request) {
			assert.Equal(t, row.left, heard[0].Header.Get("Max-Forwards"), row.request)
		}
	}
}

// Fields of the connection to the origin, and those it lists as such, reach
// nobody, now or from the store (RFC 9111 §3.1).
func TestConnectionFieldsOfTheOrigin(t *testing.T) {
	o := newWireOrigin(t, func(heard, int) string {
		return answerOf("200 OK", fresh+"\nConnection: X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5\nProxy-Authenticate: Basic\nProxy-Connection: close\nTE: x\nUpgrade: h2c\nVia: 1.0 inner\nX-Other: 1", "a")
	})
	f := newFrontOf(t, guard.Config{}, o.url)
	for range 2 {
		resp, _ := f.do("GET", "/", "")
		for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Upgrade"} {
			assert.Empty(t, resp.Header[name], name)
		}
		assert.Equal(t, "1.0 inner", resp.Header.Get("Via"))
		assert.Equal(t, "1", resp.Header.Get("X-Other"))
	}
	assert.Len(t, o.heard(), 1)
}

// What the proxy tells its origin about the client can be varied on, and what
// the client says about itself decides nothing.
func TestVaryOnForwardedFields(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		return answerOf("200 OK", fresh+"\nVary: X-Forwarded-For, Accept-Language", r.Header.Get("X-Forwarded-For")+r.Header.Get("Accept-Language"))
	})
	c := newFrontOf(t, guard.Config{}, o.url).client()
	for _, line := range []string{"", "X-Forwarded-For: 6.6.6.6\r\n", "X-Forwarded-For: 7.7.7.7, 8.8.8.8\r\n"} {
		_, body := c.ask("GET /a HTTP/1.1\r\nHost: x\r\n" + line + "\r\n")
		assert.Equal(t, "127.0.0.1", body)
	}
	assert.Len(t, o.heard(), 1)
	_, body := c.ask("GET /b HTTP/1.1\r\nHost: x\r\nConnection: Accept-Language\r\nAccept-Language: de\r\n\r\n")
	assert.Equal(t, "127.0.0.1", body)
	_, body = c.ask("GET /b HTTP/1.1\r\nHost: x\r\nAccept-Language: de\r\n\r\n")
	assert.Equal(t, "127.0.0.1de", body, "the origin never saw the language of the one before")
}

// Ages add up on a way through two caches (RFC 9111 §4.2.3), and so do the
// members of Cache-Status (RFC 9211 §2).
func TestTwoCaches(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		return answerOf("200 OK", "Cache-Control: max-age=150\nAge: 100\nDate: @-100", "a")
	})
	inner := newFrontOf(t, guard.Config{CacheName: "inner"}, o.url)
	outer := newFrontOf(t, guard.Config{CacheName: "outer"}, inner.url)
	for range 3 {
		resp, body := outer.do("GET", "/", "")
		assert.Equal(t, "a", body)
		assert.Regexp(t, `^1[0-4]\d$`, resp.Header.Get("Age"))
		assert.Regexp(t, `^inner;fwd=uri-miss;stored;ttl=[1-4]?\d, outer;(fwd=uri-miss;stored|hit);ttl=[1-4]?\d$`, resp.Header.Get("Cache-Status"))
	}
	heard := o.heard()
	require.Len(t, heard, 1)
	assert.Equal(t, "1.1 dlm, 1.1 dlm", heard[0].Header.Get("Via"))
}

// Two clients behind one connection, one after the other and both at once: each
// answer belongs to its request, also after errors.
func TestOneConnection(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		switch {
		case r.Header.Get("Cookie") != "":
			return answerOf("200 OK", fresh, "for "+r.Header.Get("Cookie"))
		case strings.HasPrefix(r.URL.Path, "/broken"):
			return hangUp
		case strings.HasPrefix(r.URL.Path, "/private"):
			return answerOf("200 OK", "Cache-Control: private", r.RequestURI)
		}
		return answerOf("200 OK", fresh, r.RequestURI)
	})
	c := newFrontOf(t, guard.Config{}, o.url).client()
	get := func(target, lines string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n"
	}
	requests := []struct{ raw, body string }{
		{get("/a", "Cookie: sid=1\r\n"), "for sid=1"},
		{get("/a", ""), "/a"},
		{get("/a", "Cookie: sid=2\r\n"), "for sid=2"},
		{get("/a", ""), "/a"},
		{get("/broken", ""), ""},
		{get("/b", ""), "/b"},
		{get("/private", ""), "/private"},
		{get("/b", "Range: bytes=0-0\r\n"), "/"},
		{get("/b", "If-None-Match: *\r\n"), ""},
		{get("/b", ""), "/b"},
		{get("/c", "Content-Length: 3\r\n") + "abc", "/c"},
		{get("/c", ""), "/c"},
	}
	for _, r := range requests {
		_, body := c.ask(r.raw)
		assert.Equal(t, r.body, body, r.raw)
	}
	var all strings.Builder
	for _, r := range requests {
		all.WriteString(r.raw)
	}
	c.write(all.String()) // pipelined
	for _, r := range requests {
		_, body, err := c.read("GET")
		require.NoError(t, err, r.raw)
		assert.Equal(t, r.body, body, r.raw)
	}
	_, body := c.ask("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n")
	assert.Empty(t, body)
	_, body = c.ask(get("/a", ""))
	assert.Equal(t, "/a", body, "no content of a HEAD is in the way")
}

// An HTTP/1.0 client gets no chunks, no interim responses and the end of the
// connection, from the store as from the origin.
func TestOldClient(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" + fresh + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	})
	c := newFrontOf(t, guard.Config{}, o.url).client()
	for _, request := range []string{"GET /a HTTP/1.0", "GET /a HTTP/1.0", "POST /a HTTP/1.0"} {
		c.write(request + "\r\n\r\n")
		resp, err := http.ReadResponse(c.in, nil)
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode, request)
		assert.Empty(t, resp.TransferEncoding, request)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "abc", string(body), request)
		assert.True(t, resp.Close, request)
		c.close()
	}
	assert.Len(t, o.heard(), 2)
}

// One request in the background refreshes a stale response, however many find it.
func TestOneRefresh(t *testing.T) {
	refreshing, proceed := make(chan struct{}, 8), make(chan struct{})
	o := newWireOrigin(t, func(r heard, run int) string {
		if run > 1 {
			refreshing <- struct{}{}
			<-proceed
			return answerOf("200 OK", fresh, "new")
		}
		return answerOf("200 OK", "Cache-Control: max-age=0, stale-while-revalidate=600\nETag: \"a\"", "old")
	})
	f := newFrontOf(t, guard.Config{}, o.url)
	f.do("GET", "/", "")
	for range 20 {
		_, body := f.do("GET", "/", "")
		require.Equal(t, "old", body)
	}
	<-refreshing
	close(proceed)
	require.Eventually(t, func() bool { _, body := f.do("GET", "/", ""); return body == "new" }, patience, time.Millisecond)
	heard := o.heard()
	require.Len(t, heard, 2)
	assert.Equal(t, `"a"`, heard[1].Header.Get("If-None-Match"))
	assert.Equal(t, "1.1 dlm", heard[1].Header.Get("Via"))
}
