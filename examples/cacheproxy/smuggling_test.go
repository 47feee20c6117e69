package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

// hidden is a request that somebody on the way may take for a body, or the other
// way round.
const hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

// smuggled are requests that end in hidden.
var smuggled = []struct {
	name, head string
	apart      bool // hidden is a request of its own, by what RFC 9112 §6.3 says of the one before
}{
	{name: "GET", head: "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", apart: true},
	{name: "lines that end in LF", head: "GET /a HTTP/1.1\nHost: x\n\n", apart: true},
	{name: "a line that ends in LF", head: "GET /a HTTP/1.1\r\nHost: x\r\nX: a\n\r\n", apart: true},
	{name: "a length of 0", head: "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", apart: true},
	{name: "the length of it", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(hidden))},
	{name: "the length of it, in a GET", head: fmt.Sprintf("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(hidden))},
	{name: "the length of it, twice", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Length: %[1]d\r\n\r\n", len(hidden))},
	{name: "the length of it, of the connection", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nConnection: Content-Length\r\nContent-Length: %d\r\n\r\n", len(hidden))},
	{name: "lengths that differ", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: %d\r\n\r\n", len(hidden))},
	{name: "lengths in a list", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d, %[1]d\r\n\r\n", len(hidden))},
	{name: "a length with a sign", head: "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n"},
	{name: "a length in hexadecimal", head: "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n"},
	{name: "a length behind a space", head: "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n"},
	{name: "a length in a folded line", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nX: a\r\n Content-Length: %d\r\n\r\n", len(hidden)), apart: true},
	{name: "a length and chunks", head: "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", apart: true},
	{name: "chunks and the length of it", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n", len(hidden)+5), apart: true},
	{name: "chunks of the connection", head: "POST /a HTTP/1.1\r\nHost: x\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", apart: true},
	{name: "chunks in a folded line", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: %d\r\n\r\n", len(hidden))},
	{name: "chunks behind a space", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
	{name: "chunks twice", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
	{name: "chunks behind identity", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"},
	{name: "a chunk with an extension", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"b\"\r\nx\r\n0\r\n\r\n", apart: true},
	{name: "an extension with LF", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\nx\r\n0\r\n\r\n"},
	{name: "an extension without end", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1<<16) + "\r\nx\r\n0\r\n\r\n"},
	{name: "a chunk longer than it says", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n"},
	{name: "a chunk that ends in LF", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n"},
	{name: "a chunk size beyond 64 bits", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"},
	{name: "a chunk size with 0x", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"},
	{name: "a chunk size with a sign", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-0\r\n\r\n"},
	{name: "a chunk size behind a space", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n 0\r\n\r\n"},
	{name: "no chunk size", head: "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n"},
	{name: "a length among the trailers", head: fmt.Sprintf("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: %d\r\n\r\n", len(hidden)), apart: true},
	{name: "an upgrade to HTTP/2", head: "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", apart: true},
	{name: "an upgrade nobody grants", head: "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", apart: true},
	{name: "chunks of HTTP/1.0", head: "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
}

// The origin hears of a hidden request only where it is one, and whoever comes
// next, by a connection of their own, gets what they ask for.
func TestSmuggling(t *testing.T) {
	o := newWireOrigin(t, echoing)
	f := newFrontOf(t, guard.Config{}, o.url)
	victim := f.client()
	for i, row := range smuggled {
		before := len(o.heard())
		c := f.client()
		c.write(row.head + hidden)
		if row.apart {
			for _, target := range []string{"/a", "/hidden"} {
				_, body, err := c.read("GET")
				require.NoError(t, err, row.name)
				assert.Contains(t, body, " "+target+" ", row.name)
			}
		} else {
			// Whatever the proxy takes it for: the end of the connection is the end of it.
			_ = c.conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c.conn)
		}
		c.close()
		for _, r := range o.heard()[before:] {
			assert.Contains(t, []string{"/a", "/hidden"}, r.RequestURI, row.name)
			assert.True(t, row.apart || r.RequestURI == "/a", row.name)
		}
		path := fmt.Sprintf("/honest/%d", i)
		for range 2 {
			_, body := victim.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
			assert.Equal(t, "GET "+path+" ", body, row.name)
		}
		_, body := victim.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
		assert.Equal(t, "GET /a ", body, row.name)
	}
}

// A request cut off behind any of its bytes leaves nothing for the next one, nor
// does a client that does not wait for its answer.
func TestCutRequests(t *testing.T) {
	o := newWireOrigin(t, echoing)
	f := newFrontOf(t, guard.Config{}, o.url)
	victim := f.client()
	for i, whole := range []string{
		"GET /cut/0 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /cut/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nevil",
		"GET /cut/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nevil",
		"POST /cut/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
		"POST /cut/4 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nevil",
	} {
		for n := 1; n <= len(whole); n++ {
			c := f.client()
			c.write(whole[:n])
			c.close()
		}
		path := fmt.Sprintf("/cut/%d", i)
		_, body := victim.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		assert.Equal(t, "GET "+path+" ", body)
	}
	for _, r := range o.heard() {
		assert.Regexp(t, `^/cut/\d$`, r.RequestURI)
		assert.Contains(t, []string{"", "evil"}, r.body, r.RequestURI)
	}
}

// Of a flood on one cold target as many wait as may; the rest is told when to
// come back, the origin is asked once, and other targets notice nothing.
func TestFlood(t *testing.T) {
	const room, flood = 8, 300
	entered, proceed := make(chan struct{}, flood), make(chan struct{})
	o := newWireOrigin(t, func(r heard, run int) string {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-proceed
		}
		return echoing(r, run)
	})
	f := newFrontOf(t, guard.Config{MaxQueue: room, Wait: patience}, o.url)
	type answer struct {
		status int
		retry  string
		body   string
	}
	answers := make(chan answer, flood+1)
	ask := func() {
		resp, err := http.Get(f.url + "/slow")
		if err != nil {
			answers <- answer{body: err.Error()}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		answers <- answer{resp.StatusCode, resp.Header.Get("Retry-After"), string(body)}
	}
	go ask()
	<-entered
	for range flood {
		go ask()
	}
	for range flood - room {
		a := <-answers
		assert.Equal(t, http.StatusServiceUnavailable, a.status)
		assert.Regexp(t, `^[1-9]\d*$`, a.retry)
	}
	_, body := f.do("GET", "/other", "")
	assert.Equal(t, "GET /other ", body)
	close(proceed)
	for range room + 1 {
		assert.Equal(t, answer{status: 200, body: "GET /slow "}, <-answers)
	}
	assert.Empty(t, entered, "requests at the origin")
}

// Clients that do not read, or never come to the end of what they send, hold up
// nobody who asks for the same.
func TestSlowClients(t *testing.T) {
	large := strings.Repeat("x", 8<<20) // more than the sockets take
	o := newWireOrigin(t, func(r heard, run int) string {
		if r.URL.Path == "/large" {
			return answerOf("200 OK", fresh, large)
		}
		return echoing(r, run)
	})
	f := newFrontOf(t, guard.Config{Wait: patience}, o.url)
	for range 3 {
		f.client().write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
		f.client().write("POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
		f.client().write("GET /large HTTP/1.1\r\nHost: x\r\nX-")
	}
	_, body := f.client().ask("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
	assert.Len(t, body, len(large))
	_, body = f.client().ask("GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
	assert.Equal(t, "GET /other ", body)
}
