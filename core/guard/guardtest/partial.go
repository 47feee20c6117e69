package guardtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

// partial is about requests for a part of what is stored: HEAD and Range.
var partial = []behaviour{
	{name: "HEAD is answered from a stored GET and stores nothing", test: headSharesGet},
	{name: "a range is cut from a stored response", test: ranges},
	{name: "several ranges are cut from a stored response", test: multipleRanges},
	{name: "a range beyond the end is 416", test: unsatisfiable},
	{name: "a HEAD that disagrees with a stored response removes it", test: headDisagrees},
	{name: "a HEAD that agrees with a stored response makes it new", test: headFreshens},
	{name: "a HEAD that forbids storing is obeyed", test: headForbids},
	{name: "a HEAD finds its variant, and removes that one alone", test: headOfVariant},
	{name: "a stale response stands in for what fails to answer a HEAD or a Range", test: staleForPartial},
	{name: "a response breaks off in front of a HEAD or a Range where nothing may stand in", test: partialFails},
	{name: "a HEAD or Range that loses the lock gets the last response", test: partialLoses, at: wrap},
	{name: "a Range passes by what is stale, however large", test: rangePasses, at: wrap},
}

func (s *site) head(path string, header ...string) answer {
	return s.do(context.Background(), http.MethodHead, path, nil, header...)
}

func headSharesGet(e *env) {
	s, runs := e.store(write("hello"))
	head := func() answer { return s.ok(s.do(context.Background(), http.MethodHead, "/x/1", nil)) }
	head()
	s.runs(1, runs)
	require.Equal(s, "hello", s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
	a := head()
	s.runs(2, runs)
	require.Equal(s, "5", a.Header.Get("Content-Length"))
	require.Contains(s, a.Header.Get("Cache-Status"), "hit")
}

func ranges(e *env) {
	s, runs := e.store(write("0123456789"))
	s.ok(s.get("/x/1"))
	for spec, want := range map[string]string{"bytes=0-3": "0123", "bytes=-3": "789", "bytes=8-": "89", "bytes=9-100": "9"} {
		a := s.status(http.StatusPartialContent, s.get("/x/1", "Range", spec))
		require.Equal(s, want, a.body, spec)
		require.Contains(s, a.Header.Get("Content-Range"), "/10")
	}
	s.ok(s.get("/x/1", "Range", "bytes=0-3", "If-Range", `"other"`))
	s.ok(s.get("/x/1", "Range", "lines=0-3"))
	s.runs(1, runs)
}

func multipleRanges(e *env) {
	s, _ := e.store(write("0123456789" + repeat(".", 1000)))
	s.ok(s.get("/x/1"))
	a := s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-1,4-5"))
	require.Contains(s, a.Header.Get("Content-Type"), "multipart/byteranges")
	require.Contains(s, a.body, "bytes 0-1/1010")
	require.Contains(s, a.body, "bytes 4-5/1010")
}

func unsatisfiable(e *env) {
	s, _ := e.store(write("0123456789"))
	s.ok(s.get("/x/1"))
	a := s.status(http.StatusRequestedRangeNotSatisfiable, s.get("/x/1", "Range", "bytes=10-"))
	require.Equal(s, "bytes */10", a.Header.Get("Content-Range"))
}

func headOfVariant(e *env) {
	s, runs := e.storeWith(guard.Config{ObeyClient: true}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("ETag", `"`+r.Header.Get("X-Version")+`"`)
	})
	ask := func(method, lang, version, cacheControl string) int64 {
		s.Helper()
		before := runs.Load()
		s.ok(s.do(context.Background(), method, "/x/1", nil, "Accept-Language", lang, "X-Version", version, "Cache-Control", cacheControl))
		return runs.Load() - before
	}
	ask(http.MethodGet, "de", "1", "")
	ask(http.MethodGet, "fr", "1", "")
	require.Zero(s, ask(http.MethodHead, "fr", "1", "only-if-cached"))
	ask(http.MethodHead, "fr", "2", "no-cache")
	require.Zero(s, ask(http.MethodGet, "de", "1", "only-if-cached"))
	require.EqualValues(s, 1, ask(http.MethodGet, "fr", "2", ""), "its HEAD has shown that it was out of date")
	require.EqualValues(s, 1, ask(http.MethodGet, "fr", "3", "no-cache"))
	require.Zero(s, ask(http.MethodGet, "de", "1", "only-if-cached"), "a variant made anew takes no other one's place")
}

func headDisagrees(e *env) {
	s, runs := e.storeWith(guard.Config{ObeyClient: true}, func(w http.ResponseWriter, r *http.Request) {
		name, value, _ := strings.Cut(r.Header.Get("X-Say"), "=")
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "5")
		w.Header().Set(name, value)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, "hello")
		}
	})
	for i, row := range []struct {
		say  string
		gone int64
	}{
		{`ETag="v1"`, 0}, {`X-Other=1`, 0}, {`ETag="v2"`, 1}, {`Content-Length=6`, 1}, {`Last-Modified=Sun, 06 Nov 1994 08:49:37 GMT`, 1},
	} {
		path := "/x/" + strconv.Itoa(i)
		s.ok(s.get(path, "X-Say", "X-Other=0"))
		s.ok(s.do(context.Background(), http.MethodHead, path, nil, "Cache-Control", "no-cache", "X-Say", row.say))
		before := runs.Load()
		s.ok(s.get(path, "X-Say", "X-Other=0"))
		require.Equal(s, row.gone, runs.Load()-before, row.say)
	}
}

// headFreshens says in a HEAD for how long the content is good, and more.
func headFreshens(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("ETag", `"v1"`)
		h.Set("Content-Length", "7")
		h.Set("X-Method", r.Method)
		if r.Method == http.MethodHead {
			h.Set("Cache-Control", "max-age=60")
			return
		}
		h.Set("Cache-Control", "max-age=0")
		h.Set("Content-Type", "text/x-content")
		_, _ = io.WriteString(w, "content")
	})
	g := e.guard(guard.Config{Fresh: time.Hour})
	app := e.adapter.App([]Route{
		{Method: http.MethodGet, Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
		{Method: http.MethodHead, Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
	})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", r.Method)
		app.ServeHTTP(w, r)
	}))
	s.ok(s.get("/x/1"))
	a := s.ok(s.head("/x/1"))
	require.Equal(s, "dlm;fwd=stale", a.Header.Get("Cache-Status"))
	require.Equal(s, "7", a.Header.Get("Content-Length"))
	a = s.ok(s.get("/x/1"))
	require.Equal(s, "content", a.body)
	for name, want := range map[string]string{
		"Cache-Control": "max-age=60", "X-Method": http.MethodHead, "Content-Type": "text/x-content", "X-Run": "2", "X-Outer": http.MethodGet,
	} {
		require.Equal(s, []string{want}, a.Header[name], name)
	}
	require.Regexp(s, `^dlm;hit;ttl=\d+$`, a.Header.Get("Cache-Status"))
	require.Regexp(s, `^\d$`, a.Header.Get("Age"))
	s.runs(2, runs)
}

func headForbids(e *env) {
	s, _ := e.storeWith(guard.Config{Stale: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("Cache-Control", "private")
		case w.Header().Get("X-Run") != "1":
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s.ok(s.get("/x/1"))
	s.ok(s.head("/x/1"))
	s.status(http.StatusBadGateway, s.get("/x/1"))
}

// failures of a handler that a stale response may stand in for.
var failures = map[string]http.HandlerFunc{
	"500":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	"502":            func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad", http.StatusBadGateway) },
	"503":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
	"504":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) },
	"broken at once": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"broken in the middle": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Header().Set("Content-Range", "bytes 0-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "0123")
		panic(http.ErrAbortHandler)
	},
}

// failing answers once and fails from then on, as the query says.
func failing(cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Fail") != "" {
			w.Header().Set("X-Of", "the failure")
			failures[r.Header.Get("X-Fail")](w, r)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Age", "100")
		w.Header().Set("Cache-Control", cacheControl)
		_, _ = io.WriteString(w, "0123456789")
	}
}

func staleForPartial(e *env) {
	for name, cfg := range map[string]guard.Config{"cached": {Fresh: time.Hour}, "serialized": {Stale: time.Hour}} {
		cfg.Namespace = name
		g, h := e.guard(cfg), failing("max-age=100, stale-if-error=60")
		e.serve(route(g, h), Route{Method: http.MethodHead, Pattern: "/x/{id}", Guard: g, Handler: h}).requireStaleForPartial()
	}
}

func (s *site) requireStaleForPartial() {
	s.Helper()
	s.ok(s.get("/x/1"))
	stale := func(status int, a answer, fail string) answer {
		s.Helper()
		s.status(status, a)
		require.Regexp(s, `^dlm;fwd=stale;ttl=(0|-\d+);detail=stale-if-error$`, strings.Join(a.Header["Cache-Status"], ", "), fail)
		if status != http.StatusRequestedRangeNotSatisfiable {
			require.Regexp(s, `^1\d\d$`, a.Header.Get("Age"), fail)
		}
		require.Empty(s, a.Header["X-Of"], fail)
		return a
	}
	for fail := range failures {
		head := stale(http.StatusOK, s.head("/x/1", "X-Fail", fail), fail)
		require.Empty(s, head.body)
		require.Equal(s, "10", head.Header.Get("Content-Length"))
		stale(http.StatusNotModified, s.head("/x/1", "X-Fail", fail, "If-None-Match", `"v1"`), fail)
		part := stale(http.StatusPartialContent, s.get("/x/1", "X-Fail", fail, "Range", "bytes=2-3"), fail)
		require.Equal(s, "23", part.body)
		require.Equal(s, "bytes 2-3/10", part.Header.Get("Content-Range"))
		beyond := stale(http.StatusRequestedRangeNotSatisfiable, s.get("/x/1", "X-Fail", fail, "Range", "bytes=10-"), fail)
		require.Equal(s, "bytes */10", beyond.Header.Get("Content-Range"))
		whole := stale(http.StatusOK, s.get("/x/1", "X-Fail", fail, "Range", "bytes=2-3", "If-Range", `"v0"`), fail)
		require.Equal(s, "0123456789", whole.body)
	}
}

func partialFails(e *env) {
	for _, cacheControl := range []string{"max-age=100", "max-age=100, stale-if-error=60, must-revalidate", "max-age=100, stale-if-error=60, no-cache"} {
		s, _ := e.storeWith(guard.Config{Namespace: cacheControl}, failing(cacheControl))
		s.ok(s.get("/x/1"))
		for fail := range failures {
			for _, a := range []answer{s.head("/x/1", "X-Fail", fail), s.get("/x/1", "X-Fail", fail, "Range", "bytes=2-3")} {
				code, err := strconv.Atoi(fail)
				if err != nil {
					require.Error(s, a.err, "%s, %s", cacheControl, fail)
					continue
				}
				s.status(code, a)
				require.Equal(s, "the failure", a.Header.Get("X-Of"))
			}
		}
	}
}

func partialLoses(e *env) {
	s, gate, runs := e.losing()
	s.ok(s.get("/x/1"))
	winner := s.goGet(context.Background(), "/x/1")
	receive(e, gate.entered, "the winner")
	for _, a := range []answer{s.ok(s.head("/x/1")), s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-1"))} {
		require.Regexp(s, `^dlm;hit;ttl=(0|-\d+)$`, a.Header.Get("Cache-Status"))
	}
	s.runs(2, runs)
	close(gate.leave)
	s.ok(receive(e, winner, "the winner's answer"))
	s.ok(s.head("/x/1"))
	require.Equal(s, "through", s.ok(s.get("/x/1", "Range", "bytes=0-1")).body, "the handler knows no ranges")
	s.runs(4, runs)
}

func rangePasses(e *env) {
	const size = 4 << 10
	s, runs := e.storeWith(guard.Config{MaxBody: 1 << 10}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size-1, 2*size))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, repeat("x", size))
			return
		}
		_, _ = io.WriteString(w, "small")
	})
	s.ok(s.get("/x/1"))
	a := s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-4095"))
	require.Len(s, a.body, size)
	require.Equal(s, "dlm;fwd=stale", a.Header.Get("Cache-Status"))
	s.runs(2, runs)
}
