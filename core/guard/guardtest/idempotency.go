package guardtest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var idempotency = []behaviour{
	{name: "an Idempotency-Key runs the handler once and repeats its response", test: repeated},
	{name: "an Idempotency-Key in flight is 409", test: inFlight},
	{name: "an Idempotency-Key with another payload is 422", test: mismatched},
	{name: "an Idempotency-Key that is missing or malformed is 400 where required", test: keyRequired},
	{name: "an Idempotency-Key belongs to one principal", test: principals},
	{name: "an Idempotency-Key is free again after a server error", test: freeAfterError},
	{name: "an Idempotency-Key is known to another process", test: knownElsewhere},
}

// once serves POST /x/{id} for requests with an Idempotency-Key.
func (e *env) once(h http.HandlerFunc) (*site, *atomic.Int64) {
	handler, runs := counted(h)
	return e.onceCounted(handler), runs
}

func (e *env) onceCounted(handler http.HandlerFunc) *site {
	cfg := guard.Config{Idempotent: &guard.Idempotent{Required: true}, Namespace: "once"}
	return e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: e.guard(cfg), Handler: handler})
}

func (s *site) pay(key, body string, header ...string) answer {
	return s.do(context.Background(), http.MethodPost, "/x/1", strings.NewReader(body),
		append(header, "Idempotency-Key", key, "Host", fleetHost)...)
}

func repeated(e *env) {
	s, runs := e.once(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	})
	first := s.status(http.StatusCreated, s.pay(`"k-1"`, "10 EUR"))
	again := s.status(http.StatusCreated, s.pay(`k-1`, "10 EUR"))
	require.Equal(s, "10 EUR", again.body)
	require.Equal(s, first.Header["Set-Cookie"], again.Header["Set-Cookie"])
	require.Equal(s, first.Header["X-Run"], again.Header["X-Run"])
	require.Equal(s, "true", again.Header.Get("Idempotency-Replayed"))
	s.runs(1, runs)
	s.status(http.StatusCreated, s.pay("k-2", "10 EUR"))
	s.runs(2, runs)
}

func inFlight(e *env) {
	g := newGate()
	s, runs := e.once(g.ServeHTTP)
	done := make(chan answer, 1)
	go func() { done <- s.pay("k", "body") }()
	receive(e, g.entered, "the first run")
	a := s.status(http.StatusConflict, s.pay("k", "body"))
	require.NotEmpty(s, a.Header.Get("Retry-After"))
	close(g.leave)
	s.ok(receive(e, done, "the first answer"))
	require.Equal(s, "through", s.ok(s.pay("k", "body")).body)
	s.runs(1, runs)
}

func mismatched(e *env) {
	s, runs := e.once(write("done"))
	s.ok(s.pay("k", "10 EUR"))
	s.status(http.StatusUnprocessableEntity, s.pay("k", "99 EUR"))
	s.runs(1, runs)
}

func keyRequired(e *env) {
	s, runs := e.once(write("done"))
	s.status(http.StatusBadRequest, s.post("/x/1"))
	for _, key := range []string{"", `""`, repeat("k", 256), "caf\xc3\xa9"} {
		s.status(http.StatusBadRequest, s.pay(key, "body"))
	}
	s.status(http.StatusBadRequest, s.pay("one", "body", "Idempotency-Key", "two"))
	s.runs(0, runs)
}

func principals(e *env) {
	s, runs := e.once(write("done"))
	s.ok(s.pay("k", "body", "Authorization", "Bearer a"))
	a := s.ok(s.pay("k", "body", "Authorization", "Bearer b"))
	require.Empty(s, a.Header["Idempotency-Replayed"])
	s.runs(2, runs)
}

func freeAfterError(e *env) {
	s, runs := e.once(func(w http.ResponseWriter, _ *http.Request) {
		if w.Header().Get("X-Run") == "1" {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s.status(http.StatusBadGateway, s.pay("k", "body"))
	s.ok(s.pay("k", "body"))
	s.runs(2, runs)
}

func knownElsewhere(e *env) {
	handler, runs := counted(write("done"))
	one, two := e.onceCounted(handler), e.onceCounted(handler)
	one.ok(one.pay("k", "body"))
	require.Equal(e, "true", two.ok(two.pay("k", "body")).Header.Get("Idempotency-Replayed"))
	one.runs(1, runs)
}
