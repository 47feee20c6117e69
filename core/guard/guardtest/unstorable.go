package guardtest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var unstorable = []behaviour{
	{name: "private, no-store and no-cache are not stored", test: directives},
	{name: "a private response is not shared with those who waited", test: privateNotShared},
	{name: "a target that cannot be stored is not queued for", test: hitForMiss},
	{name: "a request with Authorization has no part in the cache", test: authorization},
	{name: "fields of private= are not stored", test: privateField},
	{name: "a flush streams through a cached route and is not stored", test: flushNotStored},
	{name: "a hijack works on a cached route", test: hijackNotStored, only: "h1"},
	{name: "trailers arrive on a cached route and are not stored", test: trailersNotStored},
	{name: "a trailer that was announced and never set ends the response", test: trailerNeverSet},
	{name: "1xx responses arrive on a cached route", test: hintsWhileCaching},
	{name: "deadlines can be set on a cached route", test: deadlinesWhileCaching},
	{name: "a response over MaxBody arrives whole and is not stored", test: overMaxBody},
	{name: "a client that has what is over MaxBody is not sent it again", test: overMaxBodyUnmodified},
	{name: "io.Copy beyond MaxBody", test: copyOverMaxBody},
	{name: "a response cut short is not stored", test: cutShort},
	{name: "a response made after its client has gone is not stored", test: madeForNobody},
	{name: "a panic after a flush cuts the response, which is not stored", test: panicsWhileStreaming},
	{name: "a 206 of the handler is not stored", test: partialNotStored},
	{name: "compressed content goes to who can read it", test: compressed},
	{name: "a GET with a body has no part in the cache", test: fatGet},
	{name: "a method override has no part in the cache", test: methodOverride},
	{name: "no quorum does not keep a cached route from answering", test: cacheFailsOpen},
}

func directives(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", r.URL.Query().Get("cc"))
	})
	var want int64
	for _, cc := range []string{"private", "no-store", "no-cache", "max-age=60,%20private", "Private", "no-store%3B", "max-age=60,%20no-cache", "max-age=60,%20max-age=0", "max-age=-1", "max-age=1.5"} {
		s.ok(s.get("/x/1?cc=" + cc))
		s.ok(s.get("/x/1?cc=" + cc))
		want += 2
		s.runs(want, runs)
	}
}

func privateNotShared(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{Wait: patience}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		g.ServeHTTP(w, r)
	})
	answers := make(chan []answer, 1)
	go func() { answers <- s.each(4, at("/x/1")) }()
	receive(e, g.entered, "the winner")
	close(g.leave)
	seen := map[string]bool{}
	for _, a := range receive(e, answers, "the answers") {
		run := s.ok(a).Header.Get("X-Run")
		require.False(s, seen[run], "two clients got run %s", run)
		seen[run] = true
		require.Regexp(s, `^dlm;fwd=uri-miss(;collapsed=\?0)?;detail=private$`, a.Header.Get("Cache-Status"))
	}
	s.runs(4, runs)
}

func hitForMiss(e *env) {
	g := newGate()
	first := make(chan struct{})
	s, _ := e.storeWith(guard.Config{Wait: patience}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		select {
		case <-first:
			g.ServeHTTP(w, r)
		default:
			close(first)
		}
	})
	s.ok(s.get("/x/1"))
	one, two := s.goGet(context.Background(), "/x/1"), s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "one handler")
	receive(e, g.entered, "another beside it")
	close(g.leave)
	s.ok(receive(e, one, "one answer"))
	s.ok(receive(e, two, "the other answer"))
}

func authorization(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, s-maxage=60, must-revalidate") // RFC 9111 §3.5 would let it be shared
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	})
	require.Equal(s, "secret", s.ok(s.get("/x/1", "Authorization", "secret")).body)
	require.Empty(s, s.ok(s.get("/x/1")).body)
	a := s.ok(s.get("/x/1", "Authorization", "other"))
	require.Equal(s, "other", a.body)
	require.Equal(s, "dlm;fwd=bypass;detail=authorization", a.Header.Get("Cache-Status"))
	s.runs(3, runs)
}

func privateField(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", `max-age=60, private="X-Secret"`)
		w.Header().Set("X-Secret", "secret")
		w.Header().Set("X-Open", "open")
	})
	s.ok(s.get("/x/1"))
	a := s.ok(s.get("/x/1"))
	require.Empty(s, a.Header["X-Secret"])
	require.Equal(s, "open", a.Header.Get("X-Open"))
	s.runs(1, runs)
}

func flushNotStored(e *env) {
	proceed := make(chan struct{}, 8)
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "two\n")
	})
	for want := int64(1); want <= 2; want++ {
		resp, err := s.client.Get(s.url + "/x/1")
		require.NoError(s, err)
		in := bufio.NewReader(resp.Body)
		line, err := in.ReadString('\n')
		require.NoError(s, err)
		require.Equal(s, "one\n", line)
		proceed <- struct{}{}
		rest, err := io.ReadAll(in)
		require.NoError(s, err)
		require.Equal(s, "two\n", string(rest))
		_ = resp.Body.Close()
		s.runs(want, runs)
	}
}

func hijackNotStored(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			e.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 299 Mine\r\nContent-Length: 2\r\n\r\nhi")
	})
	require.Equal(s, "hi", s.status(299, s.get("/x/1")).body)
	require.Equal(s, "hi", s.status(299, s.get("/x/1")).body)
	s.runs(2, runs)
}

func trailersNotStored(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "content")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "43")
	})
	for range 2 {
		a := s.ok(s.get("/x/1"))
		require.Equal(s, "content", a.body)
		require.Equal(s, "42", a.Trailer.Get("X-Sum"))
		require.Equal(s, "43", a.Trailer.Get("X-Late"))
	}
	s.runs(2, runs)
}

func trailerNeverSet(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "content")
	})
	for range 2 {
		require.Equal(s, "content", s.ok(s.get("/x/1")).body)
	}
	s.runs(2, runs)
}

func hintsWhileCaching(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		rawWriter(w).WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "content")
	})
	hints := make(chan string, 1)
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints <- h.Get("Link"); return nil },
	})
	a := s.ok(s.do(ctx, http.MethodGet, "/x/1", nil))
	require.Equal(s, "content", a.body)
	require.Len(s, a.Header["Link"], 1)
	require.Contains(s, receive(e, hints, "the 103"), "style.css")
}

func deadlinesWhileCaching(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)); err != nil {
			e.Error(err)
		}
	})
	s.ok(s.get("/x/1"))
}

func overMaxBody(e *env) {
	text := repeat("0123456789", 100)
	s, runs := e.storeWith(guard.Config{MaxBody: 512}, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(text); i += 100 {
			_, _ = io.WriteString(w, text[i:i+100])
		}
	})
	require.Equal(s, text, s.ok(s.get("/x/1")).body)
	require.Equal(s, text, s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

// overMaxBodyUnmodified asks for what a handler that knows conditions would not send.
func overMaxBodyUnmodified(e *env) {
	const modified = "Sun, 06 Nov 1994 08:49:37 GMT"
	s, runs := e.storeWith(guard.Config{MaxBody: 512}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", modified)
		_, _ = io.Copy(w, strings.NewReader(repeat("x", 1<<16)))
	})
	for path, condition := range map[string][]string{"/x/1": {"If-None-Match", `"v1"`}, "/x/2": {"If-Modified-Since", modified}} {
		a := s.status(http.StatusNotModified, s.get(path, condition...))
		require.Equal(s, `"v1"`, a.Header.Get("ETag"))
		require.Equal(s, "dlm;fwd=uri-miss;detail=streamed", a.Header.Get("Cache-Status"))
	}
	require.Len(s, s.ok(s.get("/x/3", "If-None-Match", `"v0"`)).body, 1<<16)
	s.runs(3, runs)
}

func copyOverMaxBody(e *env) {
	text := repeat("0123456789", 1000)
	s, runs := e.storeWith(guard.Config{MaxBody: 512}, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(text[:300]), strings.NewReader(text[300:])))
	})
	require.Equal(s, text, s.ok(s.get("/x/1")).body)
	require.Equal(s, text, s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

func cutShort(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "short")
	})
	require.Error(s, s.get("/x/1").err)
	require.Error(s, s.get("/x/1").err)
	require.GreaterOrEqual(s, runs.Load(), int64(2)) // the client may try again by itself
}

func madeForNobody(e *env) {
	g := newGate()
	s, runs := e.store(g.ServeHTTP)
	ctx, hangUp := context.WithCancel(context.Background())
	first := s.goGet(ctx, "/x/1")
	receive(e, g.entered, "the handler")
	hangUp()
	require.Error(s, receive(e, first, "the client's end").err)
	s.requireInside(0)
	close(g.leave)
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func panicsWhileStreaming(e *env) {
	for name, v := range map[string]any{"panic": "the handler", "abort": http.ErrAbortHandler} {
		s, runs := e.storeWith(guard.Config{Namespace: name}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "data: 1\n")
			if r.URL.RawQuery == "" {
				_ = http.NewResponseController(w).Flush()
				panic(v)
			}
		})
		resp, err := s.client.Get(s.url + "/x/1")
		require.NoError(s, err)
		_, err = io.ReadAll(resp.Body)
		require.Error(s, err, name)
		_ = resp.Body.Close()
		require.Error(s, s.get("/x/1").err, name)
		s.runs(2, runs)
	}
}

func partialNotStored(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	})
	require.Equal(s, "01", s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-1")).body)
	require.Equal(s, "0123456789", s.ok(s.get("/x/1")).body)
	require.Equal(s, "89", s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=8-")).body)
}

func fatGet(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	fat := func(text string) answer {
		return s.ok(s.do(context.Background(), http.MethodGet, "/x/1", strings.NewReader(text)))
	}
	require.Equal(s, "evil", fat("evil").body)
	require.Empty(s, s.ok(s.get("/x/1")).body)
	require.Equal(s, "other", fat("other").body)
	s.runs(3, runs)
}

func methodOverride(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-HTTP-Method-Override"))
	})
	require.Equal(s, "DELETE", s.ok(s.get("/x/1", "X-HTTP-Method-Override", "DELETE")).body)
	require.Empty(s, s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

func cacheFailsOpen(e *env) {
	s, _ := e.storeWith(guard.Config{Locks: e.lonely(), Wait: time.Hour}, write("hello"))
	require.Equal(s, "hello", s.ok(s.get("/x/1")).body) // within the client's patience, though Wait is longer
}
