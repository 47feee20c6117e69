package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// shop is a server whose handler runs behind a Guard, and behind middleware that
// gives every client's request a span, as otelhttp does.
type shop struct {
	*httptest.Server
	guard *guard.Guard
	spans *tracers
	meant *meters
	seen  chan trace.SpanContext // the handler's, of every run
	runs  atomic.Int64
}

// newShop answers with answer, which is given the number of the run.
func newShop(t *testing.T, outer func(tracer, http.Handler) http.Handler, answer func(w http.ResponseWriter, run int64)) *shop {
	t.Helper()
	o, m, s := observer(t)
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs(), Observer: o})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	g, err := guard.New(guard.Config{Locks: locks, Key: func(r *http.Request) (string, error) { return r.URL.Path, nil },
		Fresh: time.Hour, Store: cache.NewMemory(1 << 20), OnFetch: o.OnFetch("quotes")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	_, err = o.WatchCache("quotes", g.Stats)
	require.NoError(t, err)
	_, err = o.WatchMemory("quotes", g.Usage)
	require.NoError(t, err)

	shop := &shop{guard: g, spans: s, meant: m, seen: make(chan trace.SpanContext, 16)}
	handler := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shop.seen <- trace.SpanContextFromContext(r.Context())
		answer(w, shop.runs.Add(1))
	}))
	shop.Server = httptest.NewServer(outer(tracer{all: s}, handler))
	t.Cleanup(shop.Close)
	return shop
}

// traced gives a span to every request for which is is true.
func traced(name string, is func(context.Context) bool) func(tracer, http.Handler) http.Handler {
	return func(t tracer, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if is(r.Context()) {
				ctx, span := t.Start(r.Context(), name)
				defer span.End()
				r = r.WithContext(ctx)
			}
			next.ServeHTTP(w, r)
		})
	}
}

var clients = traced("request", func(ctx context.Context) bool { return !guard.IsRefresh(ctx) })

func (s *shop) ask(t *testing.T) (status int, body string) {
	t.Helper()
	resp, err := s.Client().Get(s.URL + "/quotes/ACME")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// ended waits for n spans of a name, which end a little after the answer.
func (s *shop) ended(t *testing.T, name string, n int) []*span {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.spans.named(name)) >= n }, time.Minute, time.Millisecond, name)
	require.Len(t, s.spans.named(name), n)
	return s.spans.named(name)
}

// staleAtOnce is refreshed by whoever asks next.
func staleAtOnce(w http.ResponseWriter, run int64) {
	w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
	_, _ = fmt.Fprint(w, run)
}

func TestGuardsHandlerRunIsASpanOfItsRequest(t *testing.T) {
	s := newShop(t, clients, func(w http.ResponseWriter, run int64) { _, _ = fmt.Fprint(w, run) })
	for range 3 {
		status, body := s.ask(t)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "1", body)
	}
	request := s.ended(t, "request", 3)[0]
	fetch := s.ended(t, "dlm fetch", 1)[0]
	require.Equal(t, request.SpanContext(), fetch.parent)
	require.Empty(t, fetch.links)
	require.Equal(t, map[string]string{"dlm.cache.name": "quotes", "http.response.status_code": "200"}, fetch.attrs)
	require.Equal(t, codes.Unset, fetch.status)
	require.Equal(t, fetch.SpanContext(), <-s.seen, "what the handler begins is part of it")
	for _, name := range []string{"dlm acquire", "dlm hold"} {
		require.Equal(t, request.SpanContext(), s.ended(t, name, 1)[0].parent, name)
	}
}

// A run that the store has no part in is no fetch: the hold of its lock is its span.
func TestSerializedRunIsTheHoldOfItsRequest(t *testing.T) {
	o, _, spans := observer(t)
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs(), Observer: o})
	require.NoError(t, err)
	defer locks.Close()
	g, err := guard.New(guard.Config{Locks: locks, Key: func(r *http.Request) (string, error) { return r.URL.Path, nil }, OnFetch: o.OnFetch("orders")})
	require.NoError(t, err)
	defer g.Close()
	ctx, request := tracer{all: spans}.Start(t.Context(), "request")
	h := nethttplock.Wrap(g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/orders/42", nil))
	require.Equal(t, request.SpanContext(), spans.named("dlm hold")[0].parent)
	require.Empty(t, spans.named("dlm fetch"))
}

// refreshed asks until the Guard has refreshed in the background, and gives the
// request that found the response stale.
func (s *shop) refreshed(t *testing.T) (request, fetch *span) {
	t.Helper()
	for range 2 {
		status, body := s.ask(t)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "1", body, "the second request is given the first one's response")
	}
	fetch = s.ended(t, "dlm fetch", 2)[1]
	<-s.seen
	require.Equal(t, fetch.SpanContext(), <-s.seen)
	return s.ended(t, "request", 2)[1], fetch
}

func TestBackgroundRefreshOfAGuardIsLinkedToItsRequest(t *testing.T) {
	s := newShop(t, clients, staleAtOnce)
	request, fetch := s.refreshed(t)
	require.Equal(t, []trace.Link{{SpanContext: request.SpanContext()}}, fetch.links)
	require.False(t, fetch.parent.IsValid(), "a trace of its own")
}

func TestBackgroundRefreshIsPartOfWhatMiddlewareMakesOfIt(t *testing.T) {
	s := newShop(t, func(tr tracer, next http.Handler) http.Handler {
		return clients(tr, traced("refresh", guard.IsRefresh)(tr, next))
	}, staleAtOnce)
	request, fetch := s.refreshed(t)
	refresh := s.ended(t, "refresh", 1)[0]
	require.False(t, refresh.parent.IsValid(), "the request's values are not the refresh's")
	require.Equal(t, refresh.SpanContext(), fetch.parent)
	require.Equal(t, []trace.Link{{SpanContext: request.SpanContext()}}, fetch.links)
}

// A request that is not sampled has a refresh that is not.
func TestBackgroundRefreshKeepsTheDecisionNotToSample(t *testing.T) {
	o, _, s := observer(t)
	request := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{9}, SpanID: trace.SpanID{9}})
	cause := trace.ContextWithSpanContext(t.Context(), request)
	_, over := o.OnFetch("quotes")(context.Background(), cause)
	over(http.StatusOK, nil)
	fetch := s.named("dlm fetch")[0]
	require.Equal(t, request, fetch.parent, "where the SDK's ParentBased finds the decision")
	require.Empty(t, fetch.links)
}

func TestFailedHandlerRunIsAFailedSpan(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, int64)
		want   map[string]string
	}{
		"server error": {
			func(w http.ResponseWriter, _ int64) { w.WriteHeader(http.StatusBadGateway) },
			map[string]string{"dlm.cache.name": "quotes", "http.response.status_code": "502", "error.type": "502"},
		},
		"panic": {
			func(http.ResponseWriter, int64) { panic(http.ErrAbortHandler) },
			map[string]string{"dlm.cache.name": "quotes", "error.type": "_OTHER"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, clients, c.answer)
			if resp, err := s.Client().Get(s.URL); err == nil {
				require.NoError(t, resp.Body.Close())
			}
			fetch := s.ended(t, "dlm fetch", 1)[0]
			require.Equal(t, c.want, fetch.attrs)
			require.Equal(t, codes.Error, fetch.status)
		})
	}
}

// A Guard's Stats and Usage are watched as those of a cache are.
func TestWatchCacheReportsAGuardsOutcomes(t *testing.T) {
	s := newShop(t, clients, func(w http.ResponseWriter, run int64) { _, _ = fmt.Fprint(w, run) })
	for range 4 {
		s.ask(t)
	}
	m := s.meant
	require.NoError(t, m.collect(t.Context()))
	require.Equal(t, 3.0, m.sum("dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result=hit"))
	require.Equal(t, 1.0, m.sum("dlm.cache.fetches dlm.cache.name=quotes"))
	require.Equal(t, 1.0, m.sum("dlm.cache.memory.entries dlm.cache.name=quotes"))
	require.Positive(t, m.sum("dlm.cache.memory.usage dlm.cache.name=quotes"))
	for _, result := range []string{"stale", "collapsed", "refused"} {
		require.Contains(t, m.series(), "dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result="+result)
	}
}
