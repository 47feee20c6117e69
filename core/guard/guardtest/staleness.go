package guardtest

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

var staleness = []behaviour{
	{name: "a stale response is served at once and refreshed behind it", test: refreshedBehind},
	{name: "a refresh runs with the lock, without the client's values", test: refreshContext},
	{name: "a refresh that panics hurts nobody", test: refreshPanics},
	{name: "a refresh that streams is for nobody, and ends", test: refreshStreams},
	{name: "a stale response stands in for a server error", test: staleIfError},
	{name: "a stale response does not stand in for a panic", test: staleUnlessPanic},
	{name: "a stale response stands in for one that breaks off", test: staleForAborted},
	{name: "a response that breaks off is cut where nothing may stand in", test: abortedIsCut},
	{name: "a stale response of another variant stands in for nothing", test: otherVariantStandsBack},
	{name: "a stale response that was purged while the handler ran stands in for nothing", test: purgedStandsBack},
	{name: "must-revalidate is never served stale", test: mustRevalidate},
	{name: "a response is validated, and a 304 makes it new", test: validated},
	{name: "validation that finds another content stores that", test: validatedAnew},
	{name: "a validator serves responses without freshness", test: noCacheValidated},
	{name: "the client's conditions are not the handler's", test: conditionsKept},
	{name: "losers of the lock get the last response", test: losersGetStale},
	{name: "with Fresh 0 the handler runs for every winner", test: freshZeroRuns},
	{name: "with Fresh 0 other methods wait their turn", test: freshZeroSerializes},
	{name: "a client's no-cache is ignored unless obeyed", test: clientNoCache},
	{name: "only-if-cached is 504 where obeyed", test: onlyIfCached},
}

// refreshing answers with the number of the run and is stale at once.
func refreshing(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
	_, _ = io.WriteString(w, w.Header().Get("X-Run"))
}

func refreshedBehind(e *env) {
	s, _ := e.store(refreshing)
	require.Equal(s, "1", s.ok(s.get("/x/1")).body)
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "1", a.body)
	require.Regexp(s, `^dlm;hit;ttl=(0|-\d+)$`, a.Header.Get("Cache-Status"))
	require.Eventually(s, func() bool { return s.ok(s.get("/x/1")).body != "1" }, patience, 5*time.Millisecond)
}

type clientKey struct{}

func refreshContext(e *env) {
	problems := make(chan string, 16)
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		refreshing(w, r)
		if !guard.IsRefresh(r.Context()) {
			return
		}
		problem := ""
		if _, locked := core.FromContext(r.Context()); !locked {
			problem = "no lock"
		}
		if r.Context().Value(clientKey{}) != r.Header.Get("X-Client") {
			problem = "the values of the first client"
		}
		if r.PathValue("id") != "1" {
			problem = "no route parameter"
		}
		problems <- problem
	})
	app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: e.guard(guard.Config{Fresh: time.Hour}), Handler: handler}})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, r.Header.Get("X-Client"))))
	}))
	s.ok(s.get("/x/1", "X-Client", "first"))
	s.ok(s.get("/x/1", "X-Client", "second"))
	require.Empty(s, receive(e, problems, "a refresh"))
	require.GreaterOrEqual(s, runs.Load(), int64(2))
}

func refreshPanics(e *env) {
	var runs atomic.Int64
	s := e.serve(route(e.guard(guard.Config{Fresh: time.Hour}), func(w http.ResponseWriter, r *http.Request) {
		if runs.Add(1) == 2 {
			panic("refresh")
		}
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		_, _ = io.WriteString(w, strconv.FormatInt(runs.Load(), 10))
	}))
	s.ok(s.get("/x/1"))
	require.Equal(s, "1", s.ok(s.get("/x/1")).body)
	require.Eventually(s, func() bool { return s.ok(s.get("/x/1")).body != "1" }, patience, 20*time.Millisecond)
}

// failing answers 503 from its second run on.
func failingWith(cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", cacheControl)
		if w.Header().Get("X-Run") != "1" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "good")
	}
}

func refreshStreams(e *env) {
	ended := make(chan error, 1)
	s, _ := e.store(func(w http.ResponseWriter, r *http.Request) {
		refreshing(w, r)
		if guard.IsRefresh(r.Context()) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				e.Error(err)
			}
			<-r.Context().Done()
			ended <- r.Context().Err()
		}
	})
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	require.ErrorIs(s, receive(e, ended, "the end of the stream's context"), context.Canceled)
}

func staleIfError(e *env) {
	s, runs := e.store(failingWith("max-age=0, stale-if-error=60"))
	s.ok(s.get("/x/1"))
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "good", a.body)
	require.Regexp(s, `^dlm;fwd=stale;ttl=(0|-\d+);detail=stale-if-error$`, a.Header.Get("Cache-Status"))
	s.runs(2, runs)
	require.Equal(s, "good", s.ok(s.get("/x/1")).body)
	s.runs(2, runs) // the handler is left alone for a while
}

func staleUnlessPanic(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, _ *http.Request) {
		if w.Header().Get("X-Run") == "2" {
			panic("the second run")
		}
		failingWith("max-age=0, stale-if-error=60")(w, nil)
	})
	app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: e.guard(guard.Config{Fresh: time.Hour}), Handler: handler}})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		app.ServeHTTP(w, r)
	}))
	s.ok(s.get("/x/1"))
	s.status(http.StatusInternalServerError, s.get("/x/1"))
	s.runs(2, runs)
	require.Equal(s, "good", s.ok(s.get("/x/1")).body) // for the 503 of the third run
	s.runs(3, runs)
}

// breakingOff ends its second response in the middle, as httputil.ReverseProxy
// does when its origin goes away, trailers announced and all.
func breakingOff(cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", cacheControl)
		if w.Header().Get("X-Run") == "1" {
			_, _ = io.WriteString(w, "good")
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "half of")
		panic(http.ErrAbortHandler)
	}
}

func staleForAborted(e *env) {
	s, runs := e.store(breakingOff("max-age=0, stale-if-error=60"))
	s.ok(s.get("/x/1"))
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "good", a.body)
	require.Empty(s, a.Trailer)
	require.Regexp(s, `^dlm;fwd=stale;ttl=(0|-\d+);detail=stale-if-error$`, a.Header.Get("Cache-Status"))
	s.runs(2, runs)
}

func abortedIsCut(e *env) {
	for _, cacheControl := range []string{"max-age=0", "max-age=0, must-revalidate", "no-store"} {
		s, runs := e.storeWith(guard.Config{Namespace: cacheControl}, breakingOff(cacheControl))
		s.ok(s.get("/x/1"))
		require.Error(s, s.get("/x/1").err, cacheControl)
		require.GreaterOrEqual(s, runs.Load(), int64(2))
	}
}

func otherVariantStandsBack(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		switch {
		case w.Header().Get("X-Run") == "1":
			_, _ = io.WriteString(w, "de")
		case r.Header.Get("Accept-Language") == "it":
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s.ok(s.get("/x/1", "Accept-Language", "de"))
	a := s.status(http.StatusBadGateway, s.get("/x/1", "Accept-Language", "fr"))
	require.Contains(s, a.Header.Get("Cache-Status"), "fwd=vary-miss")
	require.Error(s, s.get("/x/1", "Accept-Language", "it").err)
	s.status(http.StatusBadGateway, s.head("/x/1", "Accept-Language", "fr"))
	s.status(http.StatusBadGateway, s.get("/x/1", "Accept-Language", "fr", "Range", "bytes=0-0"))
	require.Equal(s, "de", s.ok(s.get("/x/1", "Accept-Language", "de")).body)
	require.GreaterOrEqual(s, runs.Load(), int64(6)) // a client may try again where the connection broke
}

// purgedStandsBack fails the second run once what the first one made is purged.
func purgedStandsBack(e *env) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"error":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"broken": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		gate := newGate()
		handler, _ := counted(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
			if w.Header().Get("X-Run") == "1" {
				_, _ = io.WriteString(w, "old")
				return
			}
			gate.entered <- r
			<-gate.leave
			fail(w)
		})
		g := e.guard(guard.Config{Fresh: time.Hour, Wait: patience, Namespace: name})
		s := e.serve(route(g, handler))
		require.Equal(s, "old", s.ok(s.get("/x/1")).body)
		second := s.goGet(context.Background(), "/x/1")
		receive(e, gate.entered, "the second run")
		s.purge(func() error { return g.Purge(context.Background(), "id_1") })
		close(gate.leave)
		a := receive(e, second, "the second answer")
		if name == "broken" {
			require.Error(s, a.err)
			continue
		}
		s.status(http.StatusBadGateway, a)
	}
}

func mustRevalidate(e *env) {
	s, runs := e.storeWith(guard.Config{Stale: time.Hour}, failingWith("max-age=0, must-revalidate"))
	s.ok(s.get("/x/1"))
	s.status(http.StatusServiceUnavailable, s.get("/x/1"))
	s.runs(2, runs)
}

func validated(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "max-age=0")
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "content")
	})
	require.Equal(s, "content", s.ok(s.get("/x/1")).body)
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "content", a.body)
	require.Equal(s, "max-age=60", a.Header.Get("Cache-Control"))
	s.runs(2, runs)
	require.Equal(s, "content", s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

func validatedAnew(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		run := w.Header().Get("X-Run")
		w.Header().Set("ETag", `"v`+run+`"`)
		w.Header().Set("Cache-Control", "max-age=0")
		_, _ = io.WriteString(w, run)
	})
	for _, want := range []string{"1", "2", "3"} {
		require.Equal(s, want, s.ok(s.get("/x/1")).body)
	}
}

func noCacheValidated(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Cache-Control", "no-cache")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "content")
	})
	for range 3 {
		require.Equal(s, "content", s.ok(s.get("/x/1")).body)
	}
	s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", `"v1"`))
	s.runs(4, runs)
}

func conditionsKept(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since"))
	})
	a := s.ok(s.get("/x/1", "If-None-Match", `"mine"`, "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"))
	require.Empty(s, a.body)
}

// losing serves a route that serializes and gives losers the last response; its
// second run waits at the gate.
func (e *env) losing() (*site, *gate, *atomic.Int64) {
	g := newGate()
	guard := e.guard(guard.Config{Stale: time.Hour, Wait: patience})
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Get("X-Run") == "1" {
			_, _ = io.WriteString(w, "last")
			return
		}
		g.ServeHTTP(w, r)
	})
	return e.serve(route(guard, handler), Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: guard, Handler: handler},
		Route{Method: http.MethodHead, Pattern: "/x/{id}", Guard: guard, Handler: handler}), g, runs
}

func losersGetStale(e *env) {
	s, g, _ := e.losing()
	require.Equal(s, "last", s.ok(s.get("/x/1")).body)
	winner := s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "the winner")
	for range 3 {
		require.Equal(s, "last", s.ok(s.get("/x/1")).body)
	}
	close(g.leave)
	require.Equal(s, "through", s.ok(receive(e, winner, "the winner's answer")).body)
}

func freshZeroRuns(e *env) {
	s, g, runs := e.losing()
	close(g.leave)
	for range 3 {
		s.ok(s.get("/x/1"))
	}
	s.runs(3, runs)
}

func freshZeroSerializes(e *env) {
	var o overlap
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: e.guard(guard.Config{Stale: time.Hour, Wait: patience}),
		Handler: func(http.ResponseWriter, *http.Request) { defer o.enter()() }})
	done := make(chan answer, 8)
	for range 8 {
		go func() { done <- s.post("/x/1") }()
	}
	for range 8 {
		s.ok(receive(e, done, "an answer"))
	}
	require.EqualValues(s, 1, o.most.Load())
	require.EqualValues(s, 8, o.runs.Load())
}

func clientNoCache(e *env) {
	s, runs := e.store(write("hello"))
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1", "Cache-Control", "no-cache"))
	s.runs(1, runs)
	obedient, runs := e.storeWith(guard.Config{ObeyClient: true, Namespace: "obedient"}, write("hello"))
	obedient.ok(obedient.get("/x/1"))
	obedient.ok(obedient.get("/x/1", "Cache-Control", "no-cache"))
	obedient.runs(2, runs)
	obedient.ok(obedient.get("/x/1", "Cache-Control", "max-age=60"))
	obedient.runs(2, runs)
	obedient.ok(obedient.get("/x/1", "Pragma", "no-cache"))
	obedient.runs(3, runs)
}

func onlyIfCached(e *env) {
	s, runs := e.storeWith(guard.Config{ObeyClient: true}, write("hello"))
	s.status(http.StatusGatewayTimeout, s.get("/x/1", "Cache-Control", "only-if-cached"))
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1", "Cache-Control", "only-if-cached"))
	s.runs(1, runs)
}
