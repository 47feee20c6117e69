package guardtest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

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
	{name: "an Idempotency-Key outlives the client that sent it", test: clientGone},
	{name: "an Idempotency-Key is free again after a refusal of the Guard's", test: freeAfterRefusal},
	{name: "an Idempotency-Key tells payloads apart that were parsed before", test: parsedBefore},
	{name: "an Idempotency-Key of a body that was read before is a mistake in the program", test: readBefore},
	{name: "an Idempotency-Key is refused with 503 while the Guard is closed", test: closedOnce},
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

// onceBehind is once with something in front of the application.
func (e *env) onceBehind(outer func(http.Handler, http.ResponseWriter, *http.Request), h http.HandlerFunc) (*site, *atomic.Int64) {
	handler, runs := counted(h)
	g := e.guard(guard.Config{Idempotent: &guard.Idempotent{}, Namespace: "behind"})
	app := e.adapter.App([]Route{{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: handler, Chain: e.chain}})
	return e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { outer(app, w, r) })), runs
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
	for _, key := range []string{"", `""`, repeat("k", 256), "caf\xc3\xa9", `"one", "two"`, `one, two`, `"one`, `"one"two`, `one"`} {
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

// The client that hangs up, because of a timeout perhaps, is the one that will
// ask again.
func clientGone(e *env) {
	gone := make(chan struct{}, 64)
	g := newGate()
	s, runs := e.onceBehind(func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { gone <- struct{}{} })
		app.ServeHTTP(w, r)
	}, g.ServeHTTP)
	ctx, hangUp := context.WithCancel(context.Background())
	first := make(chan answer, 1)
	go func() {
		first <- s.do(ctx, http.MethodPost, "/x/1", strings.NewReader("10 EUR"), "Idempotency-Key", "k", "Host", fleetHost)
	}()
	receive(e, g.entered, "the first run")
	hangUp()
	receive(e, gone, "the server's notice")
	close(g.leave)
	receive(e, first, "the client's end")
	require.Eventually(s, func() bool {
		a := s.pay("k", "10 EUR")
		return a.err == nil && a.StatusCode == http.StatusOK && a.Header.Get("Idempotency-Replayed") == "true"
	}, patience, time.Millisecond)
	s.runs(1, runs)
}

func freeAfterRefusal(e *env) {
	refuse := func(w http.ResponseWriter, _ *http.Request, r *guard.Refusal) { w.WriteHeader(r.Status) }
	for name, answers := range map[string]func(http.ResponseWriter, *http.Request, *guard.Refusal){"dlm": nil, "program": refuse} {
		g := newGate()
		handler, runs := counted(g.ServeHTTP)
		s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Handler: handler, Guard: e.guard(guard.Config{
			Idempotent: &guard.Idempotent{}, Namespace: name, Key: byID, Wait: -1,
			ContentionStatus: http.StatusTooManyRequests, OnContention: answers,
		})})
		first := make(chan answer, 1)
		go func() { first <- s.pay("one", "body") }()
		receive(e, g.entered, "the first run")
		s.status(http.StatusTooManyRequests, s.pay("two", "body"))
		close(g.leave)
		s.ok(receive(e, first, "the first answer"))
		require.Empty(s, s.ok(s.pay("two", "body")).Header["Idempotency-Replayed"])
		s.runs(2, runs)
	}
}

// A token against forged requests is often a field of the form.
func parsedBefore(e *env) {
	s, runs := e.onceBehind(func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		_ = r.PostFormValue("csrf")
		app.ServeHTTP(w, r)
	}, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PostFormValue("amount")) })
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	require.Equal(s, "10", s.ok(s.pay("k", "csrf=1&amount=10", form...)).body)
	require.Equal(s, "10", s.ok(s.pay("k", "csrf=1&amount=10", form...)).body)
	s.status(http.StatusUnprocessableEntity, s.pay("k", "csrf=1&amount=99", form...))
	parts := "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n%\r\n--b--\r\n"
	form[1] = "multipart/form-data; boundary=b"
	s.ok(s.pay("file", strings.ReplaceAll(parts, "%", "one"), form...))
	s.ok(s.pay("file", strings.ReplaceAll(parts, "%", "one"), form...))
	s.status(http.StatusUnprocessableEntity, s.pay("file", strings.ReplaceAll(parts, "%", "two"), form...))
	s.runs(2, runs)
}

func readBefore(e *env) {
	s, runs := e.onceBehind(func(app http.Handler, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		app.ServeHTTP(w, r)
	}, write("done"))
	s.status(http.StatusInternalServerError, s.pay("k", "10 EUR"))
	s.runs(0, runs)
}

func closedOnce(e *env) {
	handler, runs := counted(write("done"))
	g := e.guard(guard.Config{Idempotent: &guard.Idempotent{}})
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: handler})
	require.NoError(s, g.Close())
	require.NotEmpty(s, s.status(http.StatusServiceUnavailable, s.pay("k", "body")).Header.Get("Retry-After"))
	s.runs(0, runs)
}
