package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

// origin answers with the fields of the situation the path names, and numbers
// its answers.
type origin struct {
	mu   sync.Mutex
	runs map[string]int // guarded by mu; by path
	say  func(w http.ResponseWriter, r *http.Request, run int)
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.runs[r.URL.Path]++
	run := o.runs[r.URL.Path]
	o.mu.Unlock()
	w.Header().Set("X-Run", strconv.Itoa(run))
	o.say(w, r, run)
}

var datePlaceholder = regexp.MustCompile(`@(850|asc)?([+-]?\d+)`)

// dated fills in the dates of a block of fields.
func dated(block string) string {
	return datePlaceholder.ReplaceAllStringFunc(block, func(s string) string {
		m := datePlaceholder.FindStringSubmatch(s)
		seconds, _ := strconv.Atoi(m[2])
		at := time.Now().UTC().Add(time.Duration(seconds) * time.Second)
		switch m[1] {
		case "850":
			return at.Format("Monday, 02-Jan-06 15:04:05 GMT")
		case "asc":
			return at.Format(time.ANSIC)
		}
		return at.Format(http.TimeFormat)
	})
}

func addFields(h http.Header, block string) {
	for line := range strings.Lines(dated(block)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
}

// front is a cacheproxy in front of an origin that says what say says.
type front struct {
	*testing.T
	url string
}

func newFront(t *testing.T, cfg guard.Config, say func(http.ResponseWriter, *http.Request, int)) *front {
	t.Helper()
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	upstream := httptest.NewServer(&origin{runs: map[string]int{}, say: say})
	t.Cleanup(upstream.Close)
	cfg.Locks, cfg.ObeyClient, cfg.TargetedControl = locks, true, []string{"CDN-Cache-Control"}
	cfg.Fresh, cfg.Heuristic = time.Nanosecond, 24*time.Hour
	handler, stop, err := newProxy(upstream.URL, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &front{t, server.URL}
}

func (f *front) do(method, path, fields string) (*http.Response, string) {
	f.Helper()
	r, err := http.NewRequest(method, f.url+path, nil)
	require.NoError(f, err)
	addFields(r.Header, fields)
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(f, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(f, err)
	return resp, string(body)
}

// runOf is the number of the origin's answer that the client got.
func runOf(resp *http.Response) string { return resp.Header.Get("X-Run") }

func TestSituations(t *testing.T) {
	byPath := map[string]situation{}
	for i, s := range situations {
		byPath[fmt.Sprintf("/%d", i)] = s
	}
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		s := byPath[r.URL.Path]
		addFields(w.Header(), s.response)
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
		_, _ = io.WriteString(w, s.name)
	})
	for i, s := range situations {
		path := fmt.Sprintf("/%d", i)
		if s.second == "=" {
			s.second = s.first
		}
		first, body := f.do("GET", path, s.first)
		assert.Equal(t, s.name, body)
		assert.Equal(t, "1", runOf(first), s.name)
		second, body := f.do("GET", path, s.second)
		assert.Equal(t, s.name, body)
		assert.Equal(t, s.reused, runOf(second) == "1", "%s: reused: %v", s.name, second.Header)
		if s.reused {
			assert.Regexp(t, `^\d+$`, second.Header.Get("Age"), s.name)
		}
	}
}

// A fresh response is reused whatever its status, and a stale one is not.
func TestStatuses(t *testing.T) {
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Cache-Control", "max-age="+r.URL.RawQuery)
		w.WriteHeader(status)
	})
	for _, status := range []int{200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 405, 410, 414, 499, 501, 599} {
		path := fmt.Sprintf("/%d", status)
		for range 2 {
			resp, _ := f.do("GET", path+"?3600", "")
			assert.Equal(t, status, resp.StatusCode)
			assert.Equal(t, "1", runOf(resp), status)
		}
		f.do("GET", path+"?0", "")
		resp, _ := f.do("GET", path+"?0", "")
		assert.Equal(t, "3", runOf(resp), status)
	}
}

// RFC 9111 §4.4, for every unsafe method, known or not.
func TestInvalidation(t *testing.T) {
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.Method == "GET" {
			return
		}
		status, _ := strconv.Atoi(r.Header.Get("X-Status"))
		if to := r.Header.Get("X-To"); to != "" {
			w.Header().Set(r.Header.Get("X-Name"), to)
		}
		w.WriteHeader(status)
	})
	host := mustParse(f.url).Host
	n := 0
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO"} {
		for _, row := range []struct {
			status          int
			name, to        string
			target, located bool // purged
		}{
			{status: 200, target: true},
			{status: 204, target: true},
			{status: 303, target: true},
			{status: 404}, {status: 500},
			{status: 201, name: "Location", to: "/%d/b", target: true, located: true},
			{status: 200, name: "Content-Location", to: "/%d/b", target: true, located: true},
			{status: 200, name: "Content-Location", to: "b", target: true, located: true},
			{status: 201, name: "Location", to: "http://" + host + "/%d/b", target: true, located: true},
			{status: 201, name: "Location", to: "http://elsewhere.example/%d/b", target: true},
			{status: 201, name: "Location", to: "https://" + host + "/%d/b", target: true},
			{status: 409, name: "Location", to: "/%d/b"},
		} {
			n++
			a, b := fmt.Sprintf("/%d/a", n), fmt.Sprintf("/%d/b", n)
			f.do("GET", a, "")
			f.do("GET", b, "")
			to := row.to
			if strings.Contains(to, "%d") {
				to = fmt.Sprintf(to, n)
			}
			f.do(method, a, fmt.Sprintf("X-Status: %d\nX-Name: %s\nX-To: %s", row.status, row.name, to))
			said := fmt.Sprintf("%s %d %s: %s", method, row.status, row.name, to)
			again, _ := f.do("GET", a, "")
			assert.Equal(t, row.target, runOf(again) != "1", said)
			again, _ = f.do("GET", b, "")
			assert.Equal(t, row.located, runOf(again) != "1", said)
		}
	}
}

func mustParse(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u
}

// RFC 9111 §4.3.4: fields of a 304 replace the stored ones, all but those about
// the content and the connection; what it leaves out stays.
func TestNotModifiedUpdates(t *testing.T) {
	kept := []string{"Content-Encoding", "Content-Length", "Content-Range", "Content-Md5"}
	updated := []string{"Cache-Control", "Content-Foo", "Content-Language", "Content-Location", "Content-Security-Policy", "Expires", "Public-Key-Pins",
		"Set-Cookie2", "X-Frame-Options", "X-Test", "Test-Header", "Link", "Strict-Transport-Security", "Access-Control-Allow-Origin"}
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		h := w.Header()
		h.Set("ETag", `"v1"`)
		name := strings.TrimPrefix(r.URL.Path, "/")
		if r.Header.Get("If-None-Match") == `"v1"` {
			if r.URL.RawQuery != "silent" && name != "Content-Length" {
				h.Set(name, "new")
			}
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Cache-Control", "max-age=0")
		if name != "Content-Length" && name != "Content-Range" && name != "Content-Encoding" {
			h.Set(name, "old")
		}
		_, _ = io.WriteString(w, "content")
	})
	for _, name := range updated {
		f.do("GET", "/"+name, "")
		resp, body := f.do("GET", "/"+name, "")
		assert.Equal(t, "content", body, name)
		assert.Equal(t, "new", resp.Header.Get(name), name)
		f.do("GET", "/"+name+"?silent", "")
		resp, _ = f.do("GET", "/"+name+"?silent", "")
		assert.Equal(t, "old", resp.Header.Get(name), name)
	}
	for _, name := range kept {
		f.do("GET", "/"+name, "")
		resp, body := f.do("GET", "/"+name, "")
		assert.Equal(t, "content", body, name)
		assert.NotEqual(t, "new", resp.Header.Get(name), name)
	}
}

// The proxy asks by what it has: an entity tag, a date, or both.
func TestValidators(t *testing.T) {
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		addFields(w.Header(), strings.ReplaceAll(r.Header.Get("X-Say"), "|", "\n"))
		w.Header().Set("X-Asked", r.Header.Get("If-None-Match")+"|"+r.Header.Get("If-Modified-Since"))
	})
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for i, row := range []struct{ say, asked string }{
		{`ETag: "a"`, `"a"|`},
		{`ETag: W/"a"`, `W/"a"|`},
		{`ETag: "a,b"`, `"a,b"|`},
		{`ETag: "a"|Last-Modified: ` + date, `"a"|` + date},
		{`Last-Modified: ` + date, `|` + date},
		{`Last-Modified: ` + date + `|ETag: a`, `|` + date}, // no entity tag without quotes
	} {
		path := fmt.Sprintf("/%d", i)
		say := "X-Say: Cache-Control: no-cache|" + row.say
		f.do("GET", path, say)
		resp, _ := f.do("GET", path, say)
		assert.Equal(t, row.asked, resp.Header.Get("X-Asked"), row.say)
	}
}

// RFC 5861 §4, within what RFC 9111 §4.2.4 allows. The origin fails by status
// and by closing the connection.
func TestStaleIfError(t *testing.T) {
	rows := []struct {
		cc     string
		usable bool
	}{
		{"max-age=0, stale-if-error=60", true},
		{"max-age=0, stale-if-error=60, must-revalidate", false},
		{"max-age=0, stale-if-error=60, proxy-revalidate", false},
		{"max-age=0, stale-if-error=60, no-cache", false},
		{"s-maxage=0, stale-if-error=60", false},
		{"max-age=0", false},
		{"no-cache", false},
		{"max-age=0, stale-if-error=0", false},
		{"max-age=0, stale-if-error=x", false},
		{"max-age=0, stale-if-error=60, stale-if-error=61", false},
		{"max-age=0, stale-if-error=60; must-revalidate", false},
	}
	f := newFront(t, guard.Config{Stale: time.Hour}, func(w http.ResponseWriter, r *http.Request, run int) {
		row, how, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		i, _ := strconv.Atoi(row)
		w.Header().Set("Cache-Control", rows[i].cc)
		switch {
		case run == 1:
			_, _ = io.WriteString(w, "good")
		case how == "closes":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for i, row := range rows {
		for _, how := range []string{"fails", "closes"} {
			path := fmt.Sprintf("/%d/%s", i, how)
			f.do("GET", path, "")
			resp, body := f.do("GET", path, "")
			assert.Equal(t, row.usable, body == "good", "%s, %s: %d", row.cc, how, resp.StatusCode)
			if !row.usable {
				assert.Contains(t, []int{502, 503}, resp.StatusCode, row.cc)
			}
		}
	}
}

func TestHeadAndParts(t *testing.T) {
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
	})
	resp, body := f.do("HEAD", "/head", "")
	assert.Empty(t, body)
	assert.Equal(t, "10", resp.Header.Get("Content-Length"))
	_, body = f.do("GET", "/head", "")
	assert.Equal(t, "0123456789", body, "a HEAD leaves nothing to answer a GET with")

	resp, body = f.do("GET", "/part", "Range: bytes=0-1")
	assert.Equal(t, http.StatusPartialContent, resp.StatusCode)
	assert.Equal(t, "01", body)
	resp, body = f.do("GET", "/part", "")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "0123456789", body, "a part leaves nothing to answer a GET with")
	for spec, want := range map[string]string{"0-1": "01", "5-": "56789", "-1": "9", "9-9": "9", "3-99": "3456789"} {
		resp, body = f.do("GET", "/part", "Range: bytes="+spec)
		assert.Equal(t, http.StatusPartialContent, resp.StatusCode, spec)
		assert.Equal(t, want, body, spec)
		assert.Equal(t, "2", runOf(resp), "from the store")
	}
}

// A response whose length nobody knew is stored like any other; a stream is not
// held back.
func TestUnknownLength(t *testing.T) {
	proceed := make(chan struct{}, 2)
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Cache-Control", "max-age=3600")
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-proceed
		_, _ = io.WriteString(w, "two\n")
	})
	proceed <- struct{}{}
	for range 2 {
		resp, body := f.do("GET", "/chunked", "")
		assert.Equal(t, "one\ntwo\n", body)
		assert.Equal(t, "1", runOf(resp))
	}
	resp, err := http.Get(f.url + "/events")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	line := make([]byte, 4)
	_, err = io.ReadFull(resp.Body, line)
	require.NoError(t, err)
	assert.Equal(t, "one\n", string(line))
	proceed <- struct{}{}
}

func TestInterimResponses(t *testing.T) {
	f := newFront(t, guard.Config{}, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=3600")
	})
	hints := 0
	r, err := http.NewRequest("GET", f.url+"/", nil)
	require.NoError(t, err)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
	}))
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, 1, hints)
	resp, _ = f.do("GET", "/", "")
	assert.Equal(t, "1", runOf(resp))
	assert.Empty(t, resp.Header["Link"], "fields of an interim response are not the final one's")
}
