package guardtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

// telling is about what the fields of a response say, to its client, to the
// store and to the handler.
var telling = []behaviour{
	{name: "Cache-Status says why the handler ran", test: saysWhy},
	{name: "Cache-Status says that a loser shared the winner's response", test: saysCollapsed},
	{name: "Cache-Status says that a loser could not share the winner's response", test: saysInVain},
	{name: "Cache-Status says that a response streamed past the cache", test: saysStreamed, at: wrap},
	{name: "Cache-Status says that a loser could not share what streams", test: saysStreamedInVain, at: wrap},
	{name: "Cache-Status joins those of caches behind the handler", test: joinsStatus},
	{name: "no field tells the key", test: keyUntold},
	{name: "fields of private= and no-cache= reach their own client", test: personalFields},
	{name: "an Age that came with a response counts", test: ageCounts},
	{name: "an ETag is made beside Last-Modified, and the handler asked by date", test: askedByDate},
	{name: "a 304 about something else reaches nobody", test: foreignNotModified},
	{name: "a 304 that forbids storing is obeyed", test: forbiddingNotModified},
	{name: "fields of a connection are not stored", test: connectionFields},
	{name: "a stored Date is neither lost nor made anew", test: dateKept},
	{name: "losers of the lock get nothing a successful PUT has made obsolete", test: putPurgesLast},
	{name: "Location purges what a prefix was stripped from", test: locationBehindPrefix},
	{name: "Location of another origin purges nothing", test: foreignLocation},
	{name: "an Idempotency-Key belongs to one route", test: keyPerRoute},
}

func saysWhy(e *env) {
	s, _ := e.storeWith(guard.Config{ObeyClient: true}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		if cc := r.URL.RawQuery; cc != "" {
			w.Header().Set("Cache-Control", cc)
		}
	})
	says := func(want string, a answer) {
		s.Helper()
		require.Regexp(s, "^dlm;"+want+"$", s.ok(a).Header.Get("Cache-Status"))
	}
	says(`fwd=uri-miss;stored;ttl=3600`, s.get("/x/1", "Accept-Language", "de"))
	says(`fwd=vary-miss;stored;ttl=3600`, s.get("/x/1", "Accept-Language", "fr"))
	says(`hit;ttl=\d+`, s.get("/x/1", "Accept-Language", "fr"))
	says(`fwd=request;stored;ttl=3600`, s.get("/x/1", "Accept-Language", "de", "Cache-Control", "no-cache"))
	says(`fwd=uri-miss;stored;ttl=(0|-1)`, s.get("/x/1?max-age=0"))
	says(`fwd=stale;stored;ttl=(0|-1)`, s.get("/x/1?max-age=0"))
	says(`fwd=uri-miss;detail=no-store`, s.get("/x/1?no-store"))
	says(`fwd=bypass;detail=cookie`, s.get("/x/1", "Cookie", "a=b"))
	says(`fwd=bypass;detail=client-no-store`, s.get("/x/1", "Cache-Control", "no-store"))
	says(`fwd=method;detail=method`, s.post("/x/1"))
	says(`fwd=uri-miss`, s.do(context.Background(), http.MethodHead, "/x/2", nil))
	says(`fwd=stale`, s.do(context.Background(), http.MethodHead, "/x/1?max-age=0", nil))
}

// saysCollapsed asks until a loser was waiting when the winner's response came;
// one that is a moment late finds it stored.
func saysCollapsed(e *env) {
	leave := make(chan struct{})
	s, _ := e.storeWith(guard.Config{Wait: patience}, func(http.ResponseWriter, *http.Request) { <-leave })
	for id := range 1000 {
		path := "/x/" + strconv.Itoa(id)
		one, two := s.goGet(context.Background(), path), s.goGet(context.Background(), path)
		s.requireInside(2)
		leave <- struct{}{}
		said := s.ok(receive(e, one, "one answer")).Header.Get("Cache-Status") + s.ok(receive(e, two, "the other answer")).Header.Get("Cache-Status")
		require.Regexp(s, `dlm;fwd=uri-miss;stored;ttl=\d+`, said)
		if strings.Contains(said, "collapsed") {
			require.Regexp(s, `dlm;fwd=uri-miss;collapsed;ttl=\d+`, said)
			return
		}
	}
	require.FailNow(s, "no loser was ever in time")
}

// saysInVain lets the winner's response turn out private while a loser waits.
func saysInVain(e *env) {
	leave := make(chan struct{})
	s, _ := e.storeWith(guard.Config{Wait: patience}, func(w http.ResponseWriter, _ *http.Request) {
		<-leave
		w.Header().Set("Cache-Control", "private")
	})
	s.requireInVain(leave, "private")
}

// streamingBy are the ways to send a response before it is whole.
var streamingBy = map[string]func(http.ResponseWriter){
	"flush":    func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	"length":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, repeat("x", 1<<10)) },
	"trailers": func(w http.ResponseWriter) { w.Header().Set(http.TrailerPrefix+"X-Sum", "42") },
}

func saysStreamed(e *env) {
	for name, stream := range streamingBy {
		s, _ := e.storeWith(guard.Config{MaxBody: 512, Namespace: name}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Status", "origin;hit")
			stream(w)
		})
		for range 2 { // a miss, and hit-for-miss
			a := s.ok(s.get("/x/1"))
			require.Equal(s, "origin;hit, dlm;fwd=uri-miss;detail=streamed", strings.Join(a.Header["Cache-Status"], ", "), name)
		}
	}
}

// saysStreamedInVain lets the winner's response begin to stream while a loser waits.
func saysStreamedInVain(e *env) {
	leave := make(chan struct{})
	s, _ := e.storeWith(guard.Config{Wait: patience}, func(w http.ResponseWriter, _ *http.Request) {
		<-leave
		_ = http.NewResponseController(w).Flush()
	})
	s.requireInVain(leave, "streamed")
}

// requireInVain asks until a loser was waiting when the winner's response turned
// out to be its own, as detail says.
func (s *site) requireInVain(leave chan<- struct{}, detail string) {
	s.Helper()
	for id := range 1000 {
		path := "/x/" + strconv.Itoa(id)
		one, two := s.goGet(context.Background(), path), s.goGet(context.Background(), path)
		s.requireInside(2)
		leave <- struct{}{}
		leave <- struct{}{}
		said := []string{
			s.ok(receive(s.env, one, "one answer")).Header.Get("Cache-Status"),
			s.ok(receive(s.env, two, "the other answer")).Header.Get("Cache-Status"),
		}
		require.Contains(s, said, "dlm;fwd=uri-miss;detail="+detail, "the winner waited for nobody")
		if slices.Contains(said, "dlm;fwd=uri-miss;collapsed=?0;detail="+detail) {
			return
		}
	}
	require.FailNow(s, "no loser ever waited")
}

func joinsStatus(e *env) {
	s, _ := e.storeWith(guard.Config{CacheName: "my cache"}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Status", "origin;hit")
	})
	require.Regexp(s, `^origin;hit, "my cache";fwd=uri-miss;`, s.ok(s.get("/x/1")).Header.Get("Cache-Status"))
	require.Regexp(s, `^origin;hit, "my cache";hit;`, s.ok(s.get("/x/1")).Header.Get("Cache-Status"))
}

func keyUntold(e *env) {
	s, _ := e.storeWith(guard.Config{Key: func(*http.Request) (string, error) { return "secret-key", nil }}, write("hello"))
	for range 2 {
		for name, values := range s.ok(s.get("/x/1")).Header {
			require.NotContains(s, strings.Join(values, " "), "secret-key", name)
		}
	}
}

func personalFields(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		run := w.Header().Get("X-Run")
		w.Header().Set("Cache-Control", `max-age=60, private="Set-Cookie, X-Mine", no-cache="X-Fresh"`)
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: run})
		w.Header().Set("X-Mine", run)
		w.Header().Set("X-Fresh", run)
	})
	first := s.ok(s.get("/x/1"))
	require.Equal(s, "sid=1", first.Header.Get("Set-Cookie"))
	require.Equal(s, "1", first.Header.Get("X-Mine"))
	require.Equal(s, "1", first.Header.Get("X-Fresh"))
	second := s.ok(s.get("/x/1"))
	for _, name := range []string{"Set-Cookie", "X-Mine", "X-Fresh"} {
		require.Empty(s, second.Header[name], name)
	}
	s.runs(1, runs)
}

func ageCounts(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1000")
		w.Header().Set("Age", r.URL.RawQuery)
	})
	for query, stored := range map[string]bool{"900": true, "1000": false, "9999999999": false, "-5": true, "1.5": true, "old": true, "900,%201000": true, "": true} {
		before := runs.Load()
		first := s.ok(s.get("/x/1?" + query))
		a := s.ok(s.get("/x/1?" + query))
		if query == "900" {
			require.LessOrEqual(s, first.Header.Get("Age"), a.Header.Get("Age"))
			require.Regexp(s, `^90\d$`, a.Header.Get("Age"))
		}
		want := before + 2
		if stored {
			want--
		}
		require.Equal(s, want, runs.Load(), "Age: %s", query)
	}
}

func askedByDate(e *env) {
	const modified = "Sun, 06 Nov 1994 08:49:37 GMT"
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("Last-Modified", modified)
		if r.Header.Get("If-None-Match") != "" {
			e.Error("asked by an entity tag the handler has not made")
		}
		if r.Header.Get("If-Modified-Since") == modified {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "content")
	})
	first := s.ok(s.get("/x/1"))
	require.NotEmpty(s, first.Header.Get("ETag"))
	second := s.ok(s.get("/x/1"))
	require.Equal(s, "content", second.body)
	require.Equal(s, first.Header.Get("ETag"), second.Header.Get("ETag"))
	s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", first.Header.Get("ETag")))
	s.runs(3, runs)
}

func foreignNotModified(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0")
		w.Header().Set("ETag", `"v`+w.Header().Get("X-Run")+`"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "content")
	})
	s.ok(s.get("/x/1"))
	s.status(http.StatusBadGateway, s.get("/x/1"))
	require.Equal(s, "content", s.ok(s.get("/x/1")).body)
	s.runs(3, runs)
}

func forbiddingNotModified(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "max-age=0")
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Cache-Control", "private, max-age=60")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "content of run "+w.Header().Get("X-Run"))
	})
	s.ok(s.get("/x/1"))
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "content of run 1", a.body)
	require.NotContains(s, a.Header.Get("Cache-Status"), "stored")
	require.Contains(s, a.Header.Get("Cache-Status"), "detail=private")
}

func connectionFields(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-Kept", "kept")
	})
	s.ok(s.get("/x/1"))
	a := s.ok(s.get("/x/1"))
	require.Empty(s, a.Header["Proxy-Authenticate"])
	require.Equal(s, "kept", a.Header.Get("X-Kept"))
	s.runs(1, runs)
}

func dateKept(e *env) {
	made := time.Now().Add(-10 * time.Second).UTC().Format(http.TimeFormat)
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", made) })
	for range 2 {
		require.Equal(s, []string{made}, s.ok(s.get("/x/1")).Header["Date"])
	}
	require.Regexp(s, `^[12]\d$`, s.ok(s.get("/x/1")).Header.Get("Age"))
}

func putPurgesLast(e *env) {
	gate := newGate()
	g := e.guard(guard.Config{Stale: time.Hour, Wait: patience})
	handler, _ := counted(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && w.Header().Get("X-Run") != "1" {
			gate.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, "before the PUT")
	})
	s := e.serve(route(g, handler), Route{Method: http.MethodPut, Pattern: "/x/{id}", Guard: g, Handler: handler})
	s.ok(s.get("/x/1"))
	s.ok(s.do(context.Background(), http.MethodPut, "/x/1", nil))
	winner := s.goGet(context.Background(), "/x/1")
	receive(e, gate.entered, "the winner")
	loser := s.goGet(context.Background(), "/x/1")
	s.requireInside(2)
	close(gate.leave)
	s.ok(receive(e, winner, "the winner's answer"))
	require.Equal(s, "through", s.ok(receive(e, loser, "the loser's answer")).body)
}

// mounted serves GET and POST /api/x/{id}, of which the application sees /x/{id}.
func (e *env) mounted(location string) (*site, func(want int64)) {
	g := e.guard(guard.Config{Fresh: time.Hour})
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusCreated)
		}
	})
	app := e.adapter.App([]Route{
		{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
		{Method: "POST", Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
	})
	s := e.serveHandler(http.StripPrefix("/api", app))
	return s, func(want int64) { s.Helper(); s.runs(want, runs) }
}

func locationBehindPrefix(e *env) {
	s, runs := e.mounted("/api/x/2")
	s.ok(s.get("/api/x/2"))
	s.status(http.StatusCreated, s.post("/api/x/1"))
	s.ok(s.get("/api/x/2"))
	runs(3)
}

func foreignLocation(e *env) {
	s, runs := e.mounted("http://elsewhere.example/api/x/2")
	s.ok(s.get("/api/x/2", "Host", "elsewhere.example:81"))
	s.ok(s.get("/api/x/2"))
	s.status(http.StatusCreated, s.post("/api/x/1"))
	s.ok(s.get("/api/x/2", "Host", "elsewhere.example:81"))
	s.ok(s.get("/api/x/2"))
	runs(3)
}

func keyPerRoute(e *env) {
	handler, runs := counted(write("done"))
	g := e.guard(guard.Config{Idempotent: &guard.Idempotent{}})
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: handler},
		Route{Method: http.MethodPost, Pattern: "/y/{id}", Guard: g, Handler: handler},
		Route{Method: http.MethodPatch, Pattern: "/x/{id}", Guard: g, Handler: handler})
	ask := func(method, path string) answer {
		return s.ok(s.do(context.Background(), method, path, strings.NewReader("body"), "Idempotency-Key", "k"))
	}
	for range 2 {
		ask(http.MethodPost, "/x/1")
		ask(http.MethodPost, "/y/1")
		ask(http.MethodPatch, "/x/1")
	}
	s.runs(3, runs)
}
