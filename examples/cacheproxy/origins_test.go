package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/market-intel-brain/dlm/core/guard"
)

// said is what an origin says to every request for one URL, and what comes of it.
type said struct {
	name   string
	bytes  string
	status int // of the proxy's answer; 0: the connection ends without one
	body   string
	stored bool
}

func raw(lines ...string) string { return strings.Join(lines, "\r\n") }

var origins = []said{
	{name: "of known length", bytes: answerOf("200 OK", fresh, "abc"), status: 200, body: "abc", stored: true},
	{name: "without Date", bytes: answerOf("200 OK", fresh, "abc"), status: 200, body: "abc", stored: true},
	{name: "until it closes", bytes: raw("HTTP/1.1 200 OK", fresh, "", "abc") + hangUp, status: 200, body: "abc", stored: true},
	{name: "HTTP/1.0", bytes: raw("HTTP/1.0 200 OK", fresh, "", "abc") + hangUp, status: 200, body: "abc", stored: true},
	{name: "in chunks", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "3", "abc", "0", "", ""), status: 200, body: "abc", stored: true},
	{name: "with lines that end in LF", bytes: "HTTP/1.1 200 OK\n" + fresh + "\nContent-Length: 3\n\nabc", status: 200, body: "abc", stored: true},
	{name: "behind 103", bytes: raw("HTTP/1.1 103 Early Hints", "Cache-Control: no-store", "Set-Cookie: a=b", "", "") + answerOf("200 OK", fresh, "abc"), status: 200, body: "abc", stored: true},
	{name: "behind 100", bytes: raw("HTTP/1.1 100 Continue", "", "") + answerOf("200 OK", fresh, "abc"), status: 200, body: "abc", stored: true},
	{name: "behind 102, three times", bytes: strings.Repeat(raw("HTTP/1.1 102 Processing", "", ""), 3) + answerOf("200 OK", fresh, "abc"), status: 200, body: "abc", stored: true},
	{name: "fields in lower case", bytes: raw("http/1.1 200 OK", "cache-control: max-age=3600", "content-length: 3", "", "abc"), status: 502},
	{name: "field names in lower case", bytes: raw("HTTP/1.1 200 OK", "cache-control: private", "content-length: 3", "", "abc"), status: 200, body: "abc"},
	{name: "204 with content", bytes: answerOf("204 No Content", fresh, "abc") + hangUp, status: 204, stored: true},
	{name: "and one more", bytes: answerOf("200 OK", fresh, "abc") + answerOf("200 OK", fresh, "evil") + hangUp, status: 200, body: "abc", stored: true},
	// What is not whole.
	{name: "cut in its content", bytes: raw("HTTP/1.1 200 OK", fresh, "Content-Length: 10", "", "abc") + hangUp},
	{name: "cut between chunks", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "3", "abc", "") + hangUp},
	{name: "cut in a chunk", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "30", "abc") + hangUp},
	{name: "cut before the last line", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "3", "abc", "0", "") + hangUp},
	{name: "a chunk that is none", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "xyz", "abc", "0", "", "") + hangUp},
	{name: "a chunk too long for any number", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "ffffffffffffffffff", "abc", "0", "", "") + hangUp},
	{name: "cut in its fields", bytes: raw("HTTP/1.1 200 OK", fresh, "Conte") + hangUp, status: 502},
	{name: "cut in its status line", bytes: "HTTP/1.1 2" + hangUp, status: 502},
	{name: "nothing", bytes: hangUp, status: 502},
	{name: "not HTTP", bytes: "SSH-2.0-OpenSSH_9.9\r\n" + hangUp, status: 502},
	// What means two things.
	{name: "two lengths", bytes: raw("HTTP/1.1 200 OK", fresh, "Content-Length: 3", "Content-Length: 4", "", "abcd") + hangUp, status: 502},
	{name: "a length and chunks", bytes: raw("HTTP/1.1 200 OK", fresh, "Content-Length: 3", "Transfer-Encoding: chunked", "", "4", "abcd", "0", "", ""), status: 200, body: "abcd", stored: true},
	{name: "an unknown coding of the transfer", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: gzip, chunked", "", "3", "abc", "0", "", "") + hangUp, status: 502},
	{name: "a length that is none", bytes: raw("HTTP/1.1 200 OK", fresh, "Content-Length: 3x", "", "abc") + hangUp, status: 502},
	{name: "a space before the colon", bytes: answerOf("200 OK", "Cache-Control : private", "abc"), status: 200, body: "abc"},
	{name: "a folded line", bytes: answerOf("200 OK", fresh+",\n private", "abc"), status: 200, body: "abc"},
	{name: "a line that is none", bytes: answerOf("200 OK", fresh+"\nno colon", "abc") + hangUp, status: 502},
	{name: "larger fields than anybody needs", bytes: answerOf("200 OK", fresh+"\nX: "+strings.Repeat("x", 3<<20), "abc") + hangUp, status: 502},
	// What must not be stored, or not be believed.
	{name: "206 that nobody asked for", bytes: answerOf("206 Partial Content", fresh+"\nContent-Range: bytes 0-2/10", "abc"), status: 206, body: "abc"},
	{name: "200 with Content-Range", bytes: answerOf("200 OK", fresh+"\nContent-Range: bytes 0-2/10", "abc"), status: 200, body: "abc"},
	{name: "304 that nobody asked for", bytes: raw("HTTP/1.1 304 Not Modified", fresh, "ETag: \"a\"", "", ""), status: 502},
	{name: "101 that nobody asked for", bytes: raw("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: Upgrade", "", "") + hangUp, status: 502},
	{name: "416 that nobody asked for", bytes: answerOf("416 Range Not Satisfiable", fresh+"\nContent-Range: bytes */3", ""), status: 416},
	{name: "a status that is none", bytes: answerOf("600 What", fresh, "abc"), status: 600, body: "abc"},
	{name: "a status of four digits", bytes: answerOf("1000 What", fresh, "abc") + hangUp, status: 502},
	{name: "trailers announced", bytes: raw("HTTP/1.1 200 OK", fresh, "Trailer: X-T", "Transfer-Encoding: chunked", "", "3", "abc", "0", "X-T: 1", "", ""), status: 200, body: "abc"},
	{name: "trailers unannounced", bytes: raw("HTTP/1.1 200 OK", fresh, "Transfer-Encoding: chunked", "", "3", "abc", "0", "X-T: 1", "Set-Cookie: a=b", "", ""), status: 200, body: "abc"},
	{name: "more than MaxBody", bytes: answerOf("200 OK", fresh, strings.Repeat("x", 1<<21)), status: 200, body: strings.Repeat("x", 1<<21)},
}

// Every origin is asked twice, by clients of their own, and silence about caching
// is taken for a minute.
func TestOrigins(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		var i int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &i)
		return origins[i].bytes
	})
	f := newFrontOf(t, guard.Config{Fresh: time.Minute, MaxBody: 1 << 20}, o.url)
	for i, row := range origins {
		before := len(o.heard())
		for range 2 {
			c := f.client()
			c.write(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i))
			resp, body, err := c.read("GET")
			if row.status == 0 {
				assert.Error(t, err, row.name)
				continue
			}
			if assert.NoError(t, err, row.name) {
				assert.Equal(t, row.status, resp.StatusCode, row.name)
				assert.True(t, body == row.body || row.status == 502, "%s: %.80q", row.name, body)
			}
			c.close()
		}
		runs := 2
		if row.stored {
			runs = 1
		}
		assert.Len(t, o.heard()[before:], runs, row.name)
	}
}

// An origin that dies at any moment is covered by what it said before, where that
// may be (RFC 5861 §4), and never by what it said to another variant.
func TestOriginDies(t *testing.T) {
	deaths := map[string]string{
		"at once":           hangUp,
		"in its fields":     "HTTP/1.1 200 OK\r\nCache-" + hangUp,
		"before content":    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + hangUp,
		"in its content":    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nevil" + hangUp,
		"in its chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n" + hangUp,
		"by 500":            answerOf("500 Oops", "", ""),
		"by 502":            answerOf("502 Oops", "", ""),
		"by 503":            answerOf("503 Oops", "Retry-After: 60", ""),
		"by 504":            answerOf("504 Oops", "", ""),
		"by not being HTTP": "evil\r\n\r\n" + hangUp,
	}
	o := newWireOrigin(t, func(r heard, _ int) string {
		row, first := r.Header.Get("X-Death"), r.Header.Get("X-First")
		if first != "" {
			return answerOf("200 OK", "Vary: Accept-Language\nCache-Control: max-age=0, "+first, "good")
		}
		return deaths[row]
	})
	f := newFrontOf(t, guard.Config{}, o.url)
	for name := range deaths {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		f.do("GET", path, "Accept-Language: de\nX-First: stale-if-error=600")
		// Another variant first: after the right one the origin is left alone.
		c := f.client()
		c.write("GET " + path + " HTTP/1.1\r\nHost: " + strings.TrimPrefix(f.url, "http://") + "\r\nAccept-Language: fr\r\nX-Death: " + name + "\r\n\r\n")
		if resp, body, err := c.read("GET"); err == nil {
			assert.GreaterOrEqual(t, resp.StatusCode, 500, name)
			assert.Empty(t, body, name)
		}
		resp, body := f.do("GET", path, "Accept-Language: de\nX-Death: "+name)
		assert.Equal(t, 200, resp.StatusCode, name)
		assert.Equal(t, "good", body, name)
		f.coveredInPart(path, "Accept-Language: de\nX-Death: "+name, strings.Contains(deaths[name], "200 OK\r\n") && strings.Contains(deaths[name], "\r\n\r\n"))
	}
	f.do("GET", "/gone", "X-First: stale-if-error=600")
	f.do("GET", "/gone/strictly", "X-First: stale-if-error=600, must-revalidate")
	o.stop()
	resp, body := f.do("GET", "/gone", "")
	assert.Equal(t, 200, resp.StatusCode, "connection refused")
	assert.Equal(t, "good", body, "connection refused")
	f.coveredInPart("/gone", "", false)
	for _, method := range []string{"GET", "HEAD"} {
		resp, _ = f.do(method, "/gone/strictly", "Range: bytes=1-2")
		assert.Equal(t, 502, resp.StatusCode)
	}
}

// coveredInPart asks for parts of "good", which the origin does not answer for. To a
// HEAD, which asks for fields alone, the fields may be a whole answer.
func (f *front) coveredInPart(path, fields string, headed bool) {
	f.Helper()
	for _, part := range []struct {
		method, fields string
		status         int
		length, body   string
	}{
		{"HEAD", "", 200, "4", ""},
		{"GET", "Range: bytes=1-2", 206, "2", "oo"},
		{"GET", "Range: bytes=4-", 416, "0", ""},
	} {
		if headed && part.method == "HEAD" {
			continue
		}
		resp, body := f.do(part.method, path, strings.TrimPrefix(fields+"\n"+part.fields, "\n"))
		assert.Equal(f, part.status, resp.StatusCode, "%s %q", part.method, fields)
		assert.Equal(f, part.body, body, "%s %q", part.method, fields)
		assert.Equal(f, part.length, resp.Header.Get("Content-Length"), "%s %q", part.method, fields)
		assert.Contains(f, resp.Header.Get("Cache-Status"), "stale-if-error", "%s %q", part.method, fields)
	}
}

// An origin's clock that is wrong makes nothing younger than it is.
func TestClockOfTheOrigin(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		return answerOf("200 OK", strings.ReplaceAll(r.Header.Get("X-Say"), "|", "\n"), "a")
	})
	f := newFrontOf(t, guard.Config{}, o.url)
	for i, row := range []struct {
		say    string
		stored bool
		age    string // of the second answer
	}{
		{"Date: @-30|Cache-Control: max-age=3600", true, `^3\d$`},
		{"Date: @-7200|Cache-Control: max-age=3600", false, ""},
		{"Date: @7200|Cache-Control: max-age=3600", true, `^\d$`},
		{"Date: @7200|Expires: @10800", true, `^\d$`},
		{"Date: @7200|Expires: @3600", false, ""},
		{"Date: @-7200|Expires: @-3600", false, ""},
		{"Date: @-30|Age: 300|Cache-Control: max-age=3600", true, `^3[0-2]\d$`},
		{"Date: @-300|Age: 30|Cache-Control: max-age=3600", true, `^3[0-2]\d$`},
		{"Date: yesterday|Age: 300|Cache-Control: max-age=3600", true, `^3[0-2]\d$`},
		{"Age: 300|Cache-Control: max-age=300", false, ""},
	} {
		path := fmt.Sprintf("/%d", i)
		before := len(o.heard())
		f.do("GET", path, "X-Say: "+row.say)
		resp, _ := f.do("GET", path, "X-Say: "+row.say)
		assert.Equal(t, row.stored, len(o.heard()) == before+1, row.say)
		if row.stored {
			assert.Regexp(t, row.age, resp.Header.Get("Age"), row.say)
		}
	}
}

// RFC 9110 §13.1.5, §14: parts of what is stored, and only of that.
func TestParts(t *testing.T) {
	o := newWireOrigin(t, func(r heard, _ int) string {
		switch {
		case strings.HasPrefix(r.URL.Path, "/weak"):
			return answerOf("200 OK", fresh+"\nETag: W/\"a\"\nDate: @0\nLast-Modified: @0", "0123456789")
		case strings.HasPrefix(r.URL.Path, "/empty"):
			return answerOf("200 OK", fresh+"\nETag: \"a\"", "")
		}
		return answerOf("200 OK", fresh+"\nETag: \"a\"\nContent-Type: text/x\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "0123456789")
	})
	f := newFrontOf(t, guard.Config{}, o.url)
	for i, row := range []struct {
		path, fields string
		status       int
		body         string // "…": several parts
	}{
		{"/", "Range: bytes=2-3", 206, "23"},
		{"/", "Range: bytes=2-3\nIf-Range: \"a\"", 206, "23"},
		{"/", "Range: bytes=2-3\nIf-Range: \"b\"", 200, "0123456789"},
		{"/", "Range: bytes=2-3\nIf-Range: W/\"a\"", 200, "0123456789"},
		{"/", "Range: bytes=2-3\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT", 206, "23"},
		{"/", "Range: bytes=2-3\nIf-Range: Sunday, 06-Nov-94 08:49:37 GMT", 206, "23"},
		{"/", "Range: bytes=2-3\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT", 200, "0123456789"},
		{"/", "Range: bytes=2-3\nIf-Range: a", 200, "0123456789"},
		{"/", "Range: bytes=2-3\nIf-None-Match: \"a\"", 304, ""},
		{"/", "Range: bytes=2-3\nIf-None-Match: \"b\"", 206, "23"},
		{"/", "Range: bytes=2-3\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304, ""},
		{"/", "If-None-Match: W/\"a\"", 304, ""},
		{"/", "If-None-Match: \"b\", W/\"a\"", 304, ""},
		{"/", "If-None-Match: \"b\"\nIf-Modified-Since: @0", 200, "0123456789"},
		{"/", "Range: bytes=0-1,4-5", 206, "…"},
		{"/", "Range: bytes=0-1, 20-30", 206, "01"},
		{"/", "Range: bytes=20-30", 416, ""},
		{"/", "Range: bytes=-0", 416, ""},
		{"/", "Range: bytes=3-2", 200, "0123456789"},
		{"/", "Range: bytes=0-0,0-0,0-0,0-0,0-0", 200, "0123456789"},
		{"/", "Range: bytes=0-,0-", 200, "0123456789"},
		{"/", "Range: bytes=" + strings.Repeat("0-0,", 5000) + "0-0", 200, "0123456789"},
		{"/", "Range: lines=1-2", 200, "0123456789"},
		{"/", "Range: bytes=0-1\nRange: bytes=2-3", 200, "0123456789"},
		{"/", "Range: bytes=99999999999999999999-", 416, ""},
		{"/", "Range: bytes=-99999999999999999999", 206, "0123456789"},
		{"/weak", "Range: bytes=2-3\nIf-Range: W/\"a\"", 200, "0123456789"},
		{"/weak", "Range: bytes=2-3\nIf-Range: \"a\"", 200, "0123456789"},
		{"/weak", "Range: bytes=2-3\nIf-Range: @0", 200, "0123456789"},
		{"/weak", "Range: bytes=2-3", 206, "23"},
		{"/empty", "Range: bytes=0-", 200, ""},
		{"/empty", "Range: bytes=-1", 200, ""},
	} {
		if i == 0 || row.path != "/" && len(o.heard()) < 3 {
			f.do("GET", row.path, "")
		}
		resp, body := f.do("GET", row.path, row.fields)
		assert.Equal(t, row.status, resp.StatusCode, "%.60s", row.fields)
		if row.body == "…" {
			assert.Contains(t, resp.Header.Get("Content-Type"), "multipart/byteranges")
			assert.Equal(t, 2, strings.Count(body, "Content-Range: bytes "))
		} else {
			assert.Equal(t, row.body, body, "%.60s", row.fields)
		}
	}
	assert.Len(t, o.heard(), 3, "everything else came from the store")
}
