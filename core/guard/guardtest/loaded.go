package guardtest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

var loaded = []behaviour{
	{name: "of 300 requests on one key as many wait as may, and other keys notice nothing", test: flooded, at: wrap},
	{name: "of 300 requests on one cold key as many wait as may, and other keys notice nothing", test: floodedWhileCaching, at: wrap},
	{name: "200 waiters that hang up are gone", test: waitersHangUp, at: wrap},
	{name: "a handler that hangs loses its lock, and the next one runs", test: hangs},
	{name: "a slow reader loses the lock", test: slowReader},
	{name: "a slow reader of a stored response holds up nobody", test: slowReaderOfStored, at: wrap},
	{name: "a handler that calls its own cached route is told of the deadlock", test: ownRoute},
	{name: "a handler that asks its own route over the network gets a refusal", test: ownRouteOverNetwork},
}

// flood sends 300 requests of key 1, whose handler is held, and lets it go when
// all that must be refused were.
func (s *site) flood(g *gate, room int) {
	s.Helper()
	holder := s.goGet(context.Background(), "/x/1")
	receive(s.env, g.entered, "the holder")
	const n = 300
	answers := make(chan answer, n)
	for range n {
		go func() { answers <- s.get("/x/1") }()
	}
	for range n - room {
		a := s.status(http.StatusTooManyRequests, receive(s.env, answers, "a refusal"))
		require.Regexp(s, `^[1-9]\d*$`, a.Header.Get("Retry-After"))
	}
	require.Equal(s, "free", s.ok(s.get("/x/2")).body)
	close(g.leave)
	s.ok(receive(s.env, holder, "the holder's answer"))
	for range room {
		s.ok(receive(s.env, answers, "the answer of one that waited"))
	}
}

// held1 holds key 1 at the gate, and no other.
func held1(g *gate) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "1" {
			_, _ = io.WriteString(w, "free")
			return
		}
		select {
		case g.entered <- r:
		default:
		}
		<-g.leave
		_, _ = io.WriteString(w, "through")
	}
}

func flooded(e *env) {
	g := newGate()
	e.serve(route(e.guard(guard.Config{MaxQueue: 8, Wait: patience, ContentionStatus: 429}), held1(g))).flood(g, 8)
}

func floodedWhileCaching(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{MaxQueue: 8, Wait: patience, ContentionStatus: 429}, held1(g))
	s.flood(g, 8)
	s.runs(2, runs)
}

func waitersHangUp(e *env) {
	const n = 200
	g := newGate()
	var runs atomic.Int64
	s := e.serve(route(e.guard(guard.Config{MaxQueue: n, Wait: patience}), func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		g.ServeHTTP(w, r)
	}))
	holder := s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "the holder")
	ctx, hangUp := context.WithCancel(context.Background())
	gone := make(chan answer, n)
	for range n {
		go func() { gone <- s.do(ctx, http.MethodGet, "/x/1", nil) }()
	}
	s.requireInside(n + 1)
	hangUp()
	for range n {
		require.Error(s, receive(e, gone, "a waiter's end").err)
	}
	s.requireInside(1)
	last := s.goGet(context.Background(), "/x/1")
	close(g.leave)
	s.ok(receive(e, holder, "the holder's answer"))
	s.ok(receive(e, last, "the answer of one that came later"))
	require.EqualValues(s, 2, runs.Load(), "runs of the handler")
}

// brief is a Guard whose locks end soon.
func (e *env) brief(cfg guard.Config) guard.Config {
	cfg.TTL, cfg.MaxHold, cfg.Wait = 200*time.Millisecond, 200*time.Millisecond, patience
	return cfg
}

func hangs(e *env) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	s := e.serve(route(e.guard(e.brief(guard.Config{})), func(w http.ResponseWriter, _ *http.Request) {
		if runs.Add(1) == 1 {
			close(entered)
			<-leave // deaf to its context
		}
		_, _ = io.WriteString(w, "done")
	}))
	first := s.goGet(context.Background(), "/x/1")
	receive(e, entered, "the handler that hangs")
	require.Equal(s, "done", s.ok(s.get("/x/1")).body)
	close(leave)
	s.ok(receive(e, first, "the answer of the handler that hung"))
}

func slowReader(e *env) {
	var runs atomic.Int64
	s := e.serve(route(e.guard(e.brief(guard.Config{})), func(w http.ResponseWriter, _ *http.Request) {
		if runs.Add(1) > 1 {
			return
		}
		for chunk := []byte(repeat("x", 1<<16)); ; { // until the client has hung up
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	resp, err := s.client.Get(s.url + "/x/1")
	require.NoError(s, err)
	s.ok(s.get("/x/1")) // while nobody reads the first one
	_ = resp.Body.Close()
}

func slowReaderOfStored(e *env) {
	text := repeat("0123456789abcdef", 1<<19) // more than the sockets take
	s, runs := e.storeWith(guard.Config{MaxBody: 1 << 24, Wait: patience, Store: cache.NewMemory(1 << 25)}, write(text))
	resp, err := s.client.Get(s.url + "/x/1")
	require.NoError(s, err)
	a := s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-3"))
	require.Equal(s, "0123", a.body)
	s.runs(1, runs)
	_ = resp.Body.Close()
}

func ownRoute(e *env) {
	inner := make(chan int, 1)
	var app http.Handler
	s, runs := e.storeWith(guard.Config{Wait: patience}, func(w http.ResponseWriter, r *http.Request) {
		again := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/x/1", nil)
		again.Host, again.TLS = r.Host, r.TLS
		rec := httptest.NewRecorder()
		app.ServeHTTP(rec, again)
		inner <- rec.Code
		_, _ = io.WriteString(w, "outer")
	})
	app = s.app
	require.Equal(s, "outer", s.ok(s.get("/x/1")).body)
	require.Equal(s, http.StatusInternalServerError, receive(e, inner, "the inner answer"))
	s.runs(1, runs)
}

func ownRouteOverNetwork(e *env) {
	for name, cfg := range map[string]guard.Config{"serialized": {}, "cached": {Fresh: time.Hour}} {
		cfg.Wait, cfg.Namespace = 50*time.Millisecond, name
		var s *site
		s = e.serve(route(e.guard(cfg), func(w http.ResponseWriter, _ *http.Request) {
			a := s.get("/x/1")
			w.Header().Set("X-Retry", a.Header.Get("Retry-After"))
			_, _ = io.WriteString(w, a.Status)
		}))
		a := s.ok(receive(e, s.goGetUntilQueued(context.Background(), "/x/1"), "the outer answer"))
		require.Contains(s, a.body, "503", name)
		require.NotEmpty(s, a.Header.Get("X-Retry"), name)
	}
}
