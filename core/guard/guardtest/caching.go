package guardtest

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var caching = []behaviour{
	{name: "a stored response is served without the handler", test: servesStored},
	{name: "a hit says hit, its age and its remaining life", test: hitSays},
	{name: "a cold key runs the handler once for everybody", test: collapses},
	{name: "a cold key runs the handler once in the fleet", test: collapsesInFleet},
	{name: "losers share the winner's response with its headers", test: sharesHeaders},
	{name: "the winner's client going away fails nobody", test: winnerGone},
	{name: "a panic of the winner hangs nobody", test: winnerPanics},
	{name: "runtime.Goexit of the winner hangs nobody", test: winnerExits},
	{name: "a POST never sees a GET's response", test: postIsNoGet},
	{name: "the query is part of the identity", test: queryApart},
	{name: "the Host is part of the identity", test: hostApart},
	{name: "IgnoreQuery leaves out what it names", test: ignoresQuery},
	{name: "IgnoreQuery leaves out what it names behind a prefix, too", test: ignoresQueryBehindPrefix},
	{name: "IgnoreHost leaves the Host out", test: ignoresHost},
	{name: "Vary keeps variants apart", test: variants},
	{name: "Vary: * is not stored", test: varyStar},
	{name: "multi-value headers stay multi-value", test: multiValue},
	{name: "headers of outer middleware are not stored", test: outerHeaders},
	{name: "a missing ETag is made, and If-None-Match answered with 304", test: makesETag},
	{name: "If-Modified-Since is answered with 304", test: modifiedSince},
	{name: "max-age overrules Fresh", test: maxAgeWins},
	{name: "heuristic freshness counts where it was asked for", test: heuristicAsked},
	{name: "a stored 404 is served", test: storesNotFound},
	{name: "a 500 is not stored", test: errorNotStored},
}

// counted is a handler that numbers its runs.
func counted(h http.HandlerFunc) (http.HandlerFunc, *atomic.Int64) {
	var runs atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Run", strconv.FormatInt(runs.Add(1), 10))
		h(w, r)
	}, &runs
}

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// store serves /x/{id} through a Guard that caches for an hour.
func (e *env) store(h http.HandlerFunc) (*site, *atomic.Int64) {
	return e.storeWith(guard.Config{}, h)
}

func (e *env) storeWith(cfg guard.Config, h http.HandlerFunc) (*site, *atomic.Int64) {
	if cfg.Fresh == 0 {
		cfg.Fresh = time.Hour
	}
	handler, runs := counted(h)
	g := e.guard(cfg)
	s := e.serve(route(g, handler),
		Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: handler},
		Route{Method: http.MethodHead, Pattern: "/x/{id}", Guard: g, Handler: handler})
	return s, runs
}

func (s *site) runs(want int64, runs *atomic.Int64) {
	s.Helper()
	require.EqualValues(s, want, runs.Load(), "runs of the handler")
}

func servesStored(e *env) {
	s, runs := e.store(write("hello"))
	first, second := s.ok(s.get("/x/1")), s.ok(s.get("/x/1"))
	require.Equal(s, "hello", first.body)
	require.Equal(s, "hello", second.body)
	require.Equal(s, first.Header.Get("Content-Type"), second.Header.Get("Content-Type"))
	s.runs(1, runs)
	s.ok(s.get("/x/2"))
	s.runs(2, runs)
}

func hitSays(e *env) {
	s, _ := e.store(write("hello"))
	miss, hit := s.ok(s.get("/x/1")), s.ok(s.get("/x/1"))
	require.Regexp(s, `^dlm;fwd=uri-miss;stored;ttl=\d+$`, miss.Header.Get("Cache-Status"))
	require.Regexp(s, `^dlm;hit;ttl=\d+$`, hit.Header.Get("Cache-Status"))
	require.Empty(s, miss.Header["Age"])
	require.Regexp(s, `^\d+$`, hit.Header.Get("Age"))
	require.Len(s, hit.Header["Date"], 1)
}

func collapses(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{Wait: patience}, g.ServeHTTP)
	first := s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "the winner")
	const losers = 30
	answers := make(chan answer, losers)
	for range losers {
		go func() { answers <- s.get("/x/1") }()
	}
	close(g.leave)
	s.ok(receive(e, first, "the winner's answer"))
	for range losers {
		require.Equal(s, "through", s.ok(receive(e, answers, "a loser's answer")).body)
	}
	s.runs(1, runs)
}

// fleet serves /x/{id} by n applications, each with a Guard, and so a memory, of
// its own.
func (e *env) fleet(n int, h http.HandlerFunc) ([]*guard.Guard, []*site) {
	guards, sites := make([]*guard.Guard, n), make([]*site, n)
	for i := range n {
		guards[i] = e.guard(guard.Config{Fresh: time.Hour, Wait: patience})
		sites[i] = e.serve(route(guards[i], h))
	}
	return guards, sites
}

const fleetHost = "fleet.example"

func collapsesInFleet(e *env) {
	g := newGate()
	handler, runs := counted(g.ServeHTTP)
	_, sites := e.fleet(3, handler)
	answers := make(chan answer, 24)
	for i := range cap(answers) {
		go func() { answers <- sites[i%len(sites)].get("/x/1", "Host", fleetHost) }()
	}
	receive(e, g.entered, "the winner")
	close(g.leave)
	for range cap(answers) {
		require.Equal(e, "through", sites[0].ok(receive(e, answers, "an answer")).body)
	}
	sites[0].runs(1, runs)
}

func sharesHeaders(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Own", "own")
		w.WriteHeader(http.StatusNonAuthoritativeInfo)
		_, _ = io.WriteString(w, "shared")
	})
	for _, a := range s.each(10, at("/x/1")) {
		s.status(http.StatusNonAuthoritativeInfo, a)
		require.Equal(s, "own", a.Header.Get("X-Own"))
		require.Equal(s, "shared", a.body)
	}
}

func winnerGone(e *env) {
	g := newGate()
	s, _ := e.storeWith(guard.Config{Wait: patience}, g.ServeHTTP)
	ctx, hangUp := context.WithCancel(context.Background())
	winner := s.goGet(ctx, "/x/1")
	receive(e, g.entered, "the winner")
	loser := s.goGet(context.Background(), "/x/1")
	hangUp()
	require.Error(s, receive(e, winner, "the winner's end").err)
	close(g.leave)
	require.Equal(s, "through", s.ok(receive(e, loser, "the loser's answer")).body)
	require.Equal(s, "through", s.ok(s.get("/x/1")).body)
}

func winnerPanics(e *env) {
	e.winnerUnwinds(func() { panic("winner") }, func(answer func() answer) { require.Error(e, answer().err) })
}

// winnerExits leaves a client that net/http never answers.
func winnerExits(e *env) { e.winnerUnwinds(runtime.Goexit, func(func() answer) {}) }

// winnerUnwinds lets the winner end without returning, while a loser may wait.
func (e *env) winnerUnwinds(unwind func(), check func(func() answer)) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	s := e.serve(route(e.guard(guard.Config{Fresh: time.Hour}), func(w http.ResponseWriter, _ *http.Request) {
		if runs.Add(1) == 1 {
			close(entered)
			<-leave
			unwind()
		}
		_, _ = io.WriteString(w, "second")
	}))
	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	first := s.goGet(ctx, "/x/1")
	receive(e, entered, "the winner")
	second := s.goGet(context.Background(), "/x/1")
	close(leave)
	check(func() answer { return receive(e, first, "the winner's end") })
	receive(e, second, "the loser's end")
	require.Equal(s, "second", s.ok(s.get("/x/1")).body)
}

func (s *site) post(path string) answer {
	return s.do(context.Background(), http.MethodPost, path, nil)
}

func postIsNoGet(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) })
	require.Equal(s, "GET", s.ok(s.get("/x/1")).body)
	require.Equal(s, "POST", s.ok(s.post("/x/1")).body)
	require.Equal(s, "POST", s.ok(s.post("/x/1")).body)
	s.runs(3, runs)
}

func queryApart(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.RawQuery) })
	for _, q := range []string{"", "a=1", "a=2", "a=1&b=2", "b=2&a=1", "a=1&a=2", "a=%31"} {
		require.Equal(s, q, s.ok(s.get("/x/1?"+q)).body)
	}
	s.runs(7, runs)
}

func hostApart(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	require.Equal(s, "evil.example", s.ok(s.get("/x/1", "Host", "evil.example")).body)
	require.Equal(s, "shop.example", s.ok(s.get("/x/1", "Host", "shop.example")).body)
	require.Equal(s, "shop.example:81", s.ok(s.get("/x/1", "Host", "shop.example:81")).body)
	s.ok(s.get("/x/1", "Host", "SHOP.example"))
	s.runs(3, runs)
}

func ignoresQuery(e *env) {
	s, runs := e.storeWith(guard.Config{IgnoreQuery: []string{"utm source"}}, write("hello"))
	s.ok(s.get("/x/1?a=1&utm+source=x"))
	s.ok(s.get("/x/1?utm%20source=y&a=1"))
	s.ok(s.get("/x/1?a=1"))
	s.runs(1, runs)
	s.ok(s.get("/x/1?a=2"))
	s.runs(2, runs)
}

func ignoresQueryBehindPrefix(e *env) {
	handler, runs := counted(write("hello"))
	g := e.guard(guard.Config{Fresh: time.Hour, IgnoreQuery: []string{"utm"}})
	app := e.adapter.App([]Route{{Method: http.MethodGet, Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler}})
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", app))
	mux.Handle("/old/", http.StripPrefix("/old", app))
	s := e.serveHandler(mux)
	for _, path := range []string{"/api/x/1?utm=a", "/api/x/1?utm=b", "/api/x/1"} {
		s.ok(s.get(path))
		s.runs(1, runs)
	}
	s.ok(s.get("/api/x/1?page=2&utm=a"))
	s.ok(s.get("/old/x/1?utm=a"))
	s.runs(3, runs)
}

func ignoresHost(e *env) {
	s, runs := e.storeWith(guard.Config{IgnoreHost: true}, write("hello"))
	s.ok(s.get("/x/1", "Host", "shop.example"))
	s.ok(s.get("/x/1", "Host", "www.shop.example"))
	s.runs(1, runs)
	s.ok(s.do(context.Background(), http.MethodPost, "/x/1", nil, "Host", "api.shop.example"))
	s.ok(s.get("/x/1", "Host", "shop.example"))
	s.runs(3, runs)
}

func variants(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		_, _ = io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	for range 3 {
		for _, lang := range []string{"de", "fr", "en"} {
			require.Equal(s, lang, s.ok(s.get("/x/1", "Accept-Language", lang)).body)
		}
	}
	s.runs(3, runs)
}

func varyStar(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", "*") })
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func multiValue(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Link", "</a>; rel=next")
		w.Header().Add("Link", "</b>; rel=prev")
		w.Header().Add("X-Many", "one")
		w.Header().Add("X-Many", "two")
	})
	for range 2 {
		a := s.ok(s.get("/x/1"))
		require.Len(s, a.Header["Link"], 2)
		require.Equal(s, []string{"one", "two"}, a.Header["X-Many"])
	}
}

func outerHeaders(e *env) {
	var requests atomic.Int64
	handler, runs := counted(write("hello"))
	app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: e.guard(guard.Config{Fresh: time.Hour}), Handler: handler}})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", strconv.FormatInt(requests.Add(1), 10))
		w.Header().Set("Vary", "Origin")
		app.ServeHTTP(w, r)
	}))
	for want := range 3 {
		a := s.ok(s.get("/x/1"))
		require.Equal(s, []string{strconv.Itoa(want + 1)}, a.Header["X-Request-Id"])
		require.Equal(s, []string{"Origin"}, a.Header["Vary"])
	}
	s.runs(1, runs)
}

func makesETag(e *env) {
	s, runs := e.store(write("hello"))
	tag := s.ok(s.get("/x/1")).Header.Get("ETag")
	require.Regexp(s, `^"[0-9a-f]+"$`, tag)
	a := s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", tag))
	require.Empty(s, a.body)
	require.Equal(s, tag, a.Header.Get("ETag"))
	s.ok(s.get("/x/1", "If-None-Match", `"other"`))
	s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", `"other", W/`+tag))
	s.status(http.StatusNotModified, s.get("/x/2", "If-None-Match", tag)) // stored whole all the same
	require.Equal(s, "hello", s.ok(s.get("/x/2")).body)
	s.runs(2, runs)
}

func modifiedSince(e *env) {
	modified := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", modified)
		_, _ = io.WriteString(w, "hello")
	})
	s.ok(s.get("/x/1"))
	s.status(http.StatusNotModified, s.get("/x/1", "If-Modified-Since", modified))
	s.ok(s.get("/x/1", "If-Modified-Since", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat)))
	s.runs(1, runs)
}

func maxAgeWins(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=0") })
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func heuristicAsked(e *env) {
	s, _ := e.storeWith(guard.Config{Fresh: time.Minute, Heuristic: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			w.Header().Set("Last-Modified", time.Now().AddDate(0, 0, -10).UTC().Format(http.TimeFormat))
		}
	})
	require.Equal(s, "dlm;fwd=uri-miss;stored;ttl=60", s.ok(s.get("/x/1")).Header.Get("Cache-Status"))
	require.Equal(s, "dlm;fwd=uri-miss;stored;ttl=3600", s.ok(s.get("/x/1?dated")).Header.Get("Cache-Status"))
}

func storesNotFound(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	s.status(http.StatusNotFound, s.get("/x/1"))
	s.status(http.StatusNotFound, s.get("/x/1"))
	s.runs(1, runs)
}

func errorNotStored(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s.status(http.StatusInternalServerError, s.get("/x/1"))
	s.status(http.StatusInternalServerError, s.get("/x/1"))
	s.runs(2, runs)
}
