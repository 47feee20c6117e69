package guardtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var streaming = []behaviour{
	{name: "events reach every client of a cached route while they stream", test: eventsForAll},
	{name: "a response over MaxBody holds up nobody who asks for the same", test: largeForAll},
	{name: "a stream on a cached route ends with its client", test: streamEndsWithClient},
	{name: "a stream on a cached route outlives its lock", test: streamOutlivesLock},
	{name: "a protocol can be switched on a cached route", test: upgradesWhileCaching, only: "h1"},
	{name: "request and response can be one dialogue", test: dialogue, only: "h2"},
	{name: "a write deadline that has passed cuts the response", test: deadlinePassed},
	{name: "a read deadline that has passed ends the request body", test: readDeadlinePassed},
}

// streamed is a response whose first line has arrived.
func (s *site) streamed(ctx context.Context, path string) (*http.Response, *bufio.Reader) {
	s.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	require.NoError(s, err)
	resp, err := s.client.Do(req)
	require.NoError(s, err)
	s.Cleanup(func() { _ = resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	line, err := in.ReadString('\n')
	require.NoError(s, err)
	require.Equal(s, "data: 1\n", line)
	return resp, in
}

// events sends one event, and another one when it may.
func events(g *gate) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n")
		_ = http.NewResponseController(w).Flush()
		g.entered <- r
		select {
		case <-g.leave:
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, "data: 2\n")
	}
}

func eventsForAll(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{Wait: patience}, events(g))
	var ends []*bufio.Reader
	for range 3 { // each while those before it still stream
		_, in := s.streamed(context.Background(), "/x/1")
		ends = append(ends, in)
	}
	close(g.leave)
	for _, in := range ends {
		rest, err := io.ReadAll(in)
		require.NoError(s, err)
		require.Equal(s, "data: 2\n", string(rest))
	}
	s.runs(3, runs)
}

func largeForAll(e *env) {
	g := newGate()
	s, _ := e.storeWith(guard.Config{Wait: patience, MaxBody: 512}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n"+repeat("x", 1<<16))
		g.ServeHTTP(w, r)
	})
	one, _ := s.streamed(context.Background(), "/x/1")
	two, _ := s.streamed(context.Background(), "/x/1")
	close(g.leave)
	for _, resp := range []*http.Response{one, two} {
		_, err := io.Copy(io.Discard, resp.Body)
		require.NoError(s, err)
	}
}

func streamEndsWithClient(e *env) {
	g := newGate()
	s, _ := e.store(events(g))
	ctx, hangUp := context.WithCancel(context.Background())
	s.streamed(ctx, "/x/1")
	r := receive(e, g.entered, "the stream")
	require.NoError(s, r.Context().Err())
	hangUp()
	receive(e, r.Context().Done(), "the end of the stream's context")
}

// streamOutlivesLock tries a longer lease where one was over before the stream had
// begun, or before anybody was granted another: a slow machine's fault.
func streamOutlivesLock(e *env) {
	for lease := 200 * time.Millisecond; !streamOutlives(e, lease); lease *= 2 {
		require.Less(e, lease, patience/8, "no stream outlived its lock")
	}
}

func streamOutlives(e *env, lease time.Duration) bool {
	g := newGate()
	s, _ := e.storeWith(guard.Config{TTL: lease, MaxHold: lease, Namespace: lease.String()}, events(g))
	_, in := s.streamed(context.Background(), "/x/1")
	r := receive(e, g.entered, "the stream")
	// Another target's handler is told of the end of its lock; by then this one's is over, too.
	other := e.serve(route(e.guard(guard.Config{TTL: lease, MaxHold: lease, Namespace: "other" + lease.String()}),
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	told := other.get("/x/1")
	require.NoError(s, told.err)
	if told.StatusCode != http.StatusOK || r.Context().Err() != nil {
		return false
	}
	close(g.leave)
	rest, err := io.ReadAll(in)
	require.NoError(s, err)
	require.Equal(s, "data: 2\n", string(rest))
	return true
}

func upgradesWhileCaching(e *env) {
	s, runs := e.store(switchProtocol(e))
	for range 2 {
		s.requireSwitched()
	}
	s.runs(2, runs)
}

// dialogue needs the answer before the request ends, so a body must not be read
// ahead of the handler.
func dialogue(e *env) {
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: e.guard(guard.Config{}), Handler: func(w http.ResponseWriter, r *http.Request) {
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "you said "+line)
			_ = http.NewResponseController(w).Flush()
		}
	}})
	body, out := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, s.url+"/x/1", body)
	require.NoError(s, err)
	go func() { _, _ = io.WriteString(out, "one\n") }()
	resp, err := s.client.Do(req)
	require.NoError(s, err)
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	for _, word := range []string{"one", "two", "three"} {
		line, err := in.ReadString('\n')
		require.NoError(s, err)
		require.Equal(s, "you said "+word+"\n", line)
		if word != "three" {
			_, err = fmt.Fprintln(out, map[string]string{"one": "two", "two": "three"}[word])
			require.NoError(s, err)
		}
	}
	require.NoError(s, out.Close())
}

func deadlinePassed(e *env) {
	for name, cfg := range map[string]guard.Config{"serialized": {}, "cached": {Fresh: time.Hour}} {
		cfg.Namespace = name
		s := e.serve(route(e.guard(cfg), func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Hour)); err != nil {
				e.Error(err)
			}
			_, _ = io.WriteString(w, repeat("x", 1<<16))
		}))
		require.Error(s, s.get("/x/1").err, name)
	}
}

func readDeadlinePassed(e *env) {
	failed := make(chan error, 1)
	s := e.serve(Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: e.guard(guard.Config{ReadAhead: -1}), Handler: func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(-time.Hour)); err != nil {
			e.Error(err)
		}
		_, err := io.ReadAll(r.Body)
		failed <- err
	}})
	body, out := io.Pipe() // never ends by itself
	done := make(chan answer, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- s.do(ctx, http.MethodPost, "/x/1", body) }()
	require.Error(s, receive(e, failed, "the end of the body"))
	cancel()
	_ = out.Close()
	receive(e, done, "the answer")
}
