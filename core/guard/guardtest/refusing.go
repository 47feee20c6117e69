package guardtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

var refusing = []behaviour{
	{name: "the end of the wait is 503 with Retry-After", test: refusedAfterWait},
	{name: "the status of a refusal can be chosen", test: refusedWithStatus},
	{name: "OnContention answers", test: onContention},
	{name: "beyond MaxQueue requests are refused at once, other keys unaffected", test: queueFull},
	{name: "a key that fails is 400 and the handler does not run", test: keyFails},
	{name: "an empty key is 400", test: emptyKey},
	{name: "a key error's HTTPStatus is the answer", test: keyStatus},
	{name: "a mistake in the program is 500 and one line in the log", test: mistakeLogged},
	{name: "a request that already holds its lock is 500, not a wait", test: deadlock},
	{name: "no quorum is 503 with Retry-After, at once", test: noQuorum},
	{name: "no quorum is borne for as long as configured", test: noQuorumBorne, at: wrap},
	{name: "no quorum runs the handler where failing open was chosen", test: noQuorumOpen},
	{name: "a refusal tells the client nothing of the key", test: refusalIsDiscreet},
}

// held serves a route whose key 1 is taken until the end of the behaviour.
func (e *env) held(cfg guard.Config) *site {
	g := newGate()
	s := e.serve(route(e.guard(cfg), g.ServeHTTP))
	answer := s.goGetUntilQueued(context.Background(), "/x/1")
	receive(e, g.entered, "the holder")
	e.Cleanup(func() {
		close(g.leave)
		s.ok(receive(e, answer, "the holder's answer"))
	})
	return s
}

func refusedAfterWait(e *env) {
	s := e.held(guard.Config{Wait: 50 * time.Millisecond})
	start := time.Now()
	a := s.status(http.StatusServiceUnavailable, s.get("/x/1"))
	require.GreaterOrEqual(s, time.Since(start), 50*time.Millisecond)
	require.Regexp(s, `^[1-9]\d*$`, a.Header.Get("Retry-After"))
}

func refusedWithStatus(e *env) {
	for _, code := range []int{http.StatusConflict, http.StatusLocked, http.StatusTooManyRequests} {
		s := e.held(guard.Config{Wait: -1, ContentionStatus: code, Namespace: http.StatusText(code)})
		a := s.status(code, s.get("/x/1"))
		require.NotEmpty(s, a.Header.Get("Retry-After"))
	}
}

func onContention(e *env) {
	s := e.held(guard.Config{Wait: -1, OnContention: func(w http.ResponseWriter, _ *http.Request, refusal *guard.Refusal) {
		w.Header().Set("X-Refused", refusal.Err.Error())
		w.WriteHeader(http.StatusAccepted)
	}})
	a := s.status(http.StatusAccepted, s.get("/x/1"))
	require.NotEmpty(s, a.Header.Get("Retry-After"))
	require.Contains(s, a.Header.Get("X-Refused"), "held by another")
}

func queueFull(e *env) {
	s := e.held(guard.Config{Wait: patience, MaxQueue: 1})
	ctx, hangUp := context.WithCancel(context.Background())
	queued := s.goGetUntilQueued(ctx, "/x/1")
	s.requireInside(2)
	s.requireRefused("/x/1")
	ahead, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.Error(s, s.do(ahead, http.MethodGet, "/x/2", nil).err, "another key waits for nobody but its own handler")
	hangUp()
	receive(e, queued, "the queued answer")
}

// unreached fails the behaviour when it runs.
func (e *env) unreached(http.ResponseWriter, *http.Request) { e.Error("the handler ran") }

func keyFails(e *env) {
	g := e.guard(guard.Config{Key: func(*http.Request) (string, error) { return "", errors.New("no such thing") }})
	s := e.serve(route(g, e.unreached))
	s.status(http.StatusBadRequest, s.get("/x/1"))
}

func emptyKey(e *env) {
	g := e.guard(guard.Config{Key: func(*http.Request) (string, error) { return "", nil }})
	s := e.serve(route(g, e.unreached))
	s.status(http.StatusBadRequest, s.get("/x/1"))
}

type statusError int

func (statusError) Error() string     { return "a key error with a status" }
func (e statusError) HTTPStatus() int { return int(e) }

func keyStatus(e *env) {
	g := e.guard(guard.Config{Key: func(*http.Request) (string, error) { return "", statusError(http.StatusRequestEntityTooLarge) }})
	s := e.serve(route(g, e.unreached))
	s.status(http.StatusRequestEntityTooLarge, s.get("/x/1"))
}

// logbook is a log to read in.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

func mistakeLogged(e *env) {
	var book logbook
	g := e.guard(guard.Config{
		Logger: slog.New(slog.NewTextHandler(&book, nil)),
		Key:    func(*http.Request) (string, error) { return "", statusError(http.StatusInternalServerError) },
	})
	s := e.serve(route(g, e.unreached))
	for range 2 {
		s.status(http.StatusInternalServerError, s.get("/x/1"))
	}
	require.Len(s, book.lines(), 1, "logged once, however many requests meet it")
	require.Contains(s, book.lines()[0], "a key error with a status")
}

func deadlock(e *env) {
	var book logbook
	inner := e.guard(guard.Config{Logger: slog.New(slog.NewTextHandler(&book, nil))})
	app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Guard: inner, Chain: e.chain, Handler: e.unreached}})
	s := e.serve(route(inner, app.ServeHTTP))
	s.status(http.StatusInternalServerError, s.get("/x/1"))
	require.Contains(s, book.lines()[0], core.ErrDeadlock.Error())
}

// lonely is a Manager without a node that answers.
func (e *env) lonely() *core.Manager {
	// Port 1 is not listened on anywhere, so the connection is refused.
	locks, err := core.New(core.Config{Nodes: []string{"redis://127.0.0.1:1"}, NodeTimeout: 50 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(e, err)
	e.Cleanup(func() { _ = locks.Close() })
	return locks
}

func noQuorum(e *env) {
	s := e.serve(route(e.guard(guard.Config{Locks: e.lonely(), Wait: time.Hour}), e.unreached))
	for _, a := range s.each(20, at("/x/1")) {
		require.NotEmpty(s, s.status(http.StatusServiceUnavailable, a).Header.Get("Retry-After"))
	}
}

func noQuorumBorne(e *env) {
	const bearable = 300 * time.Millisecond
	s := e.serve(route(e.guard(guard.Config{Locks: e.lonely(), Wait: time.Hour, MaxOutage: bearable}), e.unreached))
	began := time.Now()
	a := s.status(http.StatusServiceUnavailable, s.get("/x/1"))
	require.GreaterOrEqual(s, time.Since(began), bearable)
	require.NotEmpty(s, a.Header.Get("Retry-After"))
}

func noQuorumOpen(e *env) {
	g := e.guard(guard.Config{Locks: e.lonely(), Wait: time.Hour, OnUnavailable: guard.FailOpen})
	s := e.serve(route(g, func(w http.ResponseWriter, r *http.Request) {
		if _, locked := core.FromContext(r.Context()); !locked {
			_, _ = io.WriteString(w, "unlocked")
		}
	}))
	require.Equal(s, "unlocked", s.ok(s.get("/x/1")).body)
}

func refusalIsDiscreet(e *env) {
	g := e.guard(guard.Config{Key: func(*http.Request) (string, error) { return "", errors.New("secret-of-the-key") }})
	s := e.serve(route(g, e.unreached))
	a := s.status(http.StatusBadRequest, s.get("/x/1"))
	require.NotContains(s, a.body, "secret-of-the-key")
}
