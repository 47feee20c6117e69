package guardtest

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

var serializing = []behaviour{
	{name: "requests of one key never overlap", test: neverOverlap},
	{name: "requests of different keys run at once", test: differentKeysTogether},
	{name: "the handler's context carries the lock and a rising fencing token", test: carriesLock},
	{name: "the handler's context ends with the lock", test: contextEndsWithLock},
	{name: "the lock is free once the handler returned", test: freeAfterwards},
	{name: "a client that goes away frees its lock", test: goneClientFrees},
	{name: "a waiter that goes away leaves the queue", test: goneWaiterLeaves},
	{name: "a panic frees the lock and passes through", test: panicFrees},
	{name: "http.ErrAbortHandler frees the lock and cuts the connection", test: abortFrees},
	{name: "runtime.Goexit frees the lock", test: goexitFrees},
	{name: "nothing is stored or said about caching", test: nothingAdded},
}

func neverOverlap(e *env) {
	var o overlap
	s := e.serve(route(e.guard(guard.Config{Wait: patience}), func(w http.ResponseWriter, r *http.Request) {
		defer o.enter()()
		runtime.Gosched()
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	for _, a := range s.each(24, at("/x/1")) {
		require.Equal(s, "/x/1", s.ok(a).body)
	}
	require.EqualValues(s, 1, o.most.Load())
	require.EqualValues(s, 24, o.runs.Load())
}

func differentKeysTogether(e *env) {
	g := newGate()
	s := e.serve(route(e.guard(guard.Config{}), g.ServeHTTP))
	one, two := s.goGet(context.Background(), "/x/1"), s.goGet(context.Background(), "/x/2")
	receive(e, g.entered, "the first handler")
	receive(e, g.entered, "the second handler, beside the first")
	close(g.leave)
	s.ok(receive(e, one, "the first answer"))
	s.ok(receive(e, two, "the second answer"))
}

func carriesLock(e *env) {
	tokens := make(chan uint64, 2)
	s := e.serve(route(e.guard(guard.Config{}), func(_ http.ResponseWriter, r *http.Request) {
		if lock, ok := core.FromContext(r.Context()); ok {
			tokens <- lock.FencingToken()
		}
	}))
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	first, second := receive(e, tokens, "a lock in the context"), receive(e, tokens, "another")
	require.Greater(s, second, first)
}

func contextEndsWithLock(e *env) {
	cause := make(chan error, 1)
	g := e.guard(guard.Config{TTL: 300 * time.Millisecond, MaxHold: 300 * time.Millisecond})
	s := e.serve(route(g, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		cause <- context.Cause(r.Context())
	}))
	s.ok(s.get("/x/1"))
	require.ErrorIs(s, receive(e, cause, "the end of the context"), core.ErrLost)
}

func freeAfterwards(e *env) {
	locks := make(chan string, 1)
	s := e.serve(route(e.guard(guard.Config{}), func(_ http.ResponseWriter, r *http.Request) {
		if lock, ok := core.FromContext(r.Context()); ok {
			locks <- lock.Key()
		}
	}))
	s.ok(s.get("/x/1"))
	s.requireFree(receive(e, locks, "a lock in the context"))
}

// requireFree polls: the client may have its answer before the lock is gone.
func (e *env) requireFree(key string) {
	e.Helper()
	require.Eventually(e, func() bool {
		locked, err := e.locks.IsLocked(context.Background(), key)
		return err == nil && !locked
	}, patience, 5*time.Millisecond, "the lock is still held")
}

func goneClientFrees(e *env) {
	g := newGate()
	s := e.serve(route(e.guard(guard.Config{}), g.ServeHTTP))
	ctx, hangUp := context.WithCancel(context.Background())
	answer := s.goGet(ctx, "/x/1")
	r := receive(e, g.entered, "the handler")
	lock, ok := core.FromContext(r.Context())
	require.True(s, ok)
	hangUp()
	require.Error(s, receive(e, answer, "the answer").err)
	s.requireFree(lock.Key())
}

func goneWaiterLeaves(e *env) {
	g := newGate()
	s := e.serve(route(e.guard(guard.Config{MaxQueue: 1, Wait: patience}), g.ServeHTTP))
	first := s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "the handler")
	ctx, hangUp := context.WithCancel(context.Background())
	second := s.goGetUntilQueued(ctx, "/x/1")
	s.requireInside(2)
	s.requireRefused("/x/1") // the queue is full
	hangUp()
	require.Error(s, receive(e, second, "the answer").err)
	s.requireInside(1)
	third := s.goGetUntilQueued(context.Background(), "/x/1")
	close(g.leave)
	s.ok(receive(e, first, "the first answer"))
	s.ok(receive(e, third, "the third answer"))
}

// requireRefused asks until the queue is seen to be full.
func (s *site) requireRefused(path string) {
	s.Helper()
	require.Eventually(s, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		a := s.do(ctx, http.MethodGet, path, nil)
		return a.err == nil && a.StatusCode == http.StatusServiceUnavailable
	}, patience, time.Millisecond)
}

// goGetUntilQueued asks again while the queue is still full.
func (s *site) goGetUntilQueued(ctx context.Context, path string) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		for {
			a := s.do(ctx, http.MethodGet, path, nil)
			if a.err != nil || a.StatusCode != http.StatusServiceUnavailable {
				c <- a
				return
			}
		}
	}()
	return c
}

func panicFrees(e *env) { e.unwindFrees(func() { panic("handler") }) }
func abortFrees(e *env) { e.unwindFrees(func() { panic(http.ErrAbortHandler) }) }

func (e *env) unwindFrees(unwind func()) {
	locks := make(chan string, 1)
	recovered := make(chan any, 1)
	app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: e.guard(guard.Config{}),
		Handler: func(_ http.ResponseWriter, r *http.Request) {
			lock, _ := core.FromContext(r.Context())
			locks <- lock.Key()
			unwind()
		}}})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			recovered <- recover()
			panic(http.ErrAbortHandler)
		}()
		app.ServeHTTP(w, r)
	}))
	require.Error(s, s.get("/x/1").err)
	require.NotNil(s, receive(e, recovered, "the panic"))
	s.requireFree(receive(e, locks, "the lock"))
}

func goexitFrees(e *env) {
	locks := make(chan string, 1)
	s := e.serve(route(e.guard(guard.Config{}), func(_ http.ResponseWriter, r *http.Request) {
		lock, _ := core.FromContext(r.Context())
		locks <- lock.Key()
		runtime.Goexit()
	}))
	ctx, cancel := context.WithCancel(context.Background())
	answer := s.goGet(ctx, "/x/1")
	s.requireFree(receive(e, locks, "the lock"))
	cancel()
	receive(e, answer, "the answer")
}

func nothingAdded(e *env) {
	s := e.serve(route(e.guard(guard.Config{}), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Many", "one")
		w.Header().Add("X-Many", "two")
		w.WriteHeader(http.StatusTeapot)
	}))
	a := s.status(http.StatusTeapot, s.get("/x/1"))
	require.Equal(s, []string{"one", "two"}, a.Header["X-Many"])
	for _, name := range []string{"Cache-Status", "Age", "Etag", "Retry-After"} {
		require.Empty(s, a.Header[name], name)
	}
}
