package guard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

// debugged is a Manager with a lock and somebody who waits for it.
type debugged struct {
	nodes *coretest.EmbeddedNodes
	locks *core.Manager
	log   *guard.EventLog
	page  http.Handler
}

const hostile = `<script>alert("dlm")</script>`

func newDebugged(t *testing.T, opts ...guard.DebugOption) *debugged {
	t.Helper()
	d := &debugged{nodes: coretest.Embedded(t, 3), log: guard.NewEventLog(0)}
	var err error
	d.locks, err = core.New(core.Config{Nodes: d.nodes.URLs(), Observer: d.log, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.locks.Close() })
	d.page = guard.DebugHandler(d.locks, append(opts, guard.DebugEvents(d.log))...)
	return d
}

// occupy holds a key that others wait for, until the test ends.
func (d *debugged) occupy(t *testing.T, key string, waiters int) *core.Lock {
	t.Helper()
	l, err := d.locks.Acquire(t.Context(), key, core.WithTTL(time.Minute))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	for range waiters {
		all.Go(func() { _, _ = d.locks.Acquire(ctx, key, core.WithWait(time.Minute)) })
	}
	require.Eventually(t, func() bool {
		s := d.locks.Snapshot(1)
		return waiters == 0 || len(s.Queues) == 1 && s.Queues[0].Waiting == waiters
	}, 10*time.Second, time.Millisecond)
	return l
}

// get asks from this machine unless edited.
func (d *debugged) get(accept string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/debug/dlm", nil)
	r.RemoteAddr = "127.0.0.1:1234"
	r.Header.Set("Accept", accept)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	d.page.ServeHTTP(w, r)
	return w
}

type debugJSON struct {
	Quorum, Voting, Held, Waiting, Queued int
	Acquired, Refused, Lost               uint64
	Nodes                                 []struct {
		Node     string
		Voting   bool
		Commands uint64
		Latency  float64 `json:"latency_seconds"`
	}
	Locks []struct {
		Key       string
		Token     uint64  `json:"fencing_token"`
		Age       float64 `json:"age_seconds"`
		Remaining float64 `json:"remaining_seconds"`
		Nodes     int
	}
	Queues []struct {
		Key      string
		Waiting  int
		HeldHere bool `json:"held_here"`
	}
	Caches []struct {
		Name     string
		HitRatio float64 `json:"hit_ratio"`
		Hits     uint64
		Bytes    uint64
		Entries  int
	}
	Events []struct{ What, Key, Node, Error string }
}

func (d *debugged) json(t *testing.T) (v debugJSON) {
	t.Helper()
	w := d.get("application/json")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}

func TestDebugJSONTellsWhatIsHeldAndWaitedFor(t *testing.T) {
	d := newDebugged(t)
	l := d.occupy(t, "order_42", 3)
	_, err := d.locks.TryAcquire(t.Context(), "order_42")
	require.ErrorIs(t, err, core.ErrNotAcquired)

	require.Eventually(t, func() bool { return d.json(t).Voting == 3 }, time.Minute, 10*time.Millisecond,
		"on a loaded machine a majority may vote before the last node is met")
	v := d.json(t)
	require.Equal(t, 2, v.Quorum)
	require.Len(t, v.Nodes, 3)
	require.True(t, v.Nodes[0].Voting)
	require.Positive(t, v.Nodes[0].Commands)
	require.Positive(t, v.Nodes[0].Latency)
	require.Equal(t, 1, v.Held)
	require.Equal(t, "order_42", v.Locks[0].Key)
	require.Equal(t, l.FencingToken(), v.Locks[0].Token)
	require.Positive(t, v.Locks[0].Age)
	require.InDelta(t, 60, v.Locks[0].Remaining, 30)
	require.GreaterOrEqual(t, v.Locks[0].Nodes, 2)
	require.Equal(t, 3, v.Queues[0].Waiting)
	require.True(t, v.Queues[0].HeldHere)
	require.EqualValues(t, 1, v.Refused)
	require.Equal(t, "refused", v.Events[0].What)
	require.Contains(t, v.Events[0].Error, "held by another owner")
}

func TestDebugPageEscapesKeys(t *testing.T) {
	d := newDebugged(t)
	d.occupy(t, hostile, 1)
	d.occupy(t, "bell\a\xff", 0)
	_, err := d.locks.TryAcquire(t.Context(), hostile)
	require.Error(t, err)
	w := d.get("text/html,application/xhtml+xml,*/*;q=0.8")
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.NotContains(t, w.Body.String(), hostile)
	require.Contains(t, w.Body.String(), "&lt;script&gt;alert(")
	require.Contains(t, w.Body.String(), `&#34;bell\a\xff&#34;`, "what does not show is quoted")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-")
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
}

func TestDebugPageBoundsLongKeys(t *testing.T) {
	d := newDebugged(t)
	d.occupy(t, strings.Repeat("k", 100_000), 1)
	_, err := d.locks.TryAcquire(t.Context(), strings.Repeat("k", 100_000))
	require.Error(t, err)
	require.Less(t, d.get("text/html").Body.Len(), 20_000)
}

func TestDebugShowsNodesThatAreDown(t *testing.T) {
	d := newDebugged(t)
	require.NoError(t, d.nodes.Node(0).Kill())
	require.NoError(t, d.nodes.Node(1).Kill())
	require.Eventually(t, func() bool {
		v := d.json(t)
		return v.Voting == 1 && len(v.Events) >= 2 && v.Events[0].What == "node down" && v.Events[0].Node != ""
	}, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, d.get("text/html").Body.String(), "does not vote")
}

func TestDebugShowsCaches(t *testing.T) {
	memory := cache.NewMemory(1 << 20)
	quotes, err := cache.New[string](cache.Config{Store: memory, Fresh: time.Minute})
	require.NoError(t, err)
	defer quotes.Close()
	for range 4 {
		_, err := quotes.Get(t.Context(), "k", func(context.Context) (string, error) { return "secret value", nil })
		require.NoError(t, err)
	}
	d := newDebugged(t, guard.DebugCache("quotes", quotes.Stats, memory.Usage), guard.DebugCache("far", quotes.Stats, nil))
	v := d.json(t)
	require.Equal(t, "quotes", v.Caches[0].Name)
	require.EqualValues(t, 3, v.Caches[0].Hits)
	require.Equal(t, 0.75, v.Caches[0].HitRatio)
	require.Equal(t, 1, v.Caches[0].Entries)
	require.Positive(t, v.Caches[0].Bytes)
	require.Zero(t, v.Caches[1].Bytes)
	page := d.get("text/html").Body.String()
	require.Contains(t, page, "75.0 %")
	require.Contains(t, page, "of 1 MiB")
	require.NotContains(t, page, "secret value")
}

func TestDebugNeverShowsPasswords(t *testing.T) {
	const password = "hunter2"
	nodes := coretest.Redis(t, 1, coretest.WithPassword(password))
	log := guard.NewEventLog(10)
	for _, urls := range [][]string{nodes.URLs(), {strings.Replace(nodes.URLs()[0], password, password+"x", 1)}} {
		locks, err := core.New(core.Config{Nodes: urls, Observer: log, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		_, _ = locks.TryAcquire(t.Context(), "k")
		for name, handler := range map[string]http.Handler{
			"page": guard.DebugHandler(locks, guard.DebugEvents(log)), "health": guard.HealthHandler(locks), "readiness": guard.ReadinessHandler(locks),
		} {
			for _, accept := range []string{"text/html", "application/json"} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				require.NotContains(t, w.Body.String(), password, name)
				require.Contains(t, w.Body.String(), nodes.Node(0).Addr(), name)
			}
		}
		require.NoError(t, locks.Close())
	}
}

func TestDebugWarnsWhenExposed(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	const warning = "without credentials. Put authentication"
	elsewhere := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1234" }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}

	d := newDebugged(t)
	for name, edits := range map[string][]func(*http.Request){
		"this machine":                {},
		"a Unix socket":               {func(r *http.Request) { r.RemoteAddr = "@" }},
		"elsewhere, with credentials": {elsewhere, header("Authorization", "Basic eDp5")},
		"elsewhere, with a session":   {elsewhere, header("Cookie", "session=1")},
	} {
		require.NotContains(t, d.get("text/html", edits...).Body.String(), warning, name)
	}
	require.Empty(t, logged.String())
	for name, edits := range map[string][]func(*http.Request){
		"elsewhere":      {elsewhere},
		"behind a proxy": {header("X-Forwarded-For", "192.0.2.1")},
	} {
		require.Contains(t, d.get("text/html", edits...).Body.String(), warning, name)
	}
	require.Equal(t, 1, strings.Count(logged.String(), "without credentials"), "once: %s", &logged)
}

func TestDebugIsReadOnly(t *testing.T) {
	d := newDebugged(t)
	w := d.get("text/html", func(r *http.Request) { r.Method = http.MethodPost })
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

func TestDebugStreamKeepsTelling(t *testing.T) {
	d := newDebugged(t)
	server := httptest.NewServer(d.page)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := openStream(t, ctx, server.URL)
	require.Contains(t, next(t, events), `<b id="held">0</b>`)
	d.occupy(t, "order_42", 0)
	require.Eventually(t, func() bool { return strings.Contains(next(t, events), `<b id="held">1</b>`) }, 20*time.Second, time.Millisecond)
}

func TestDebugStreamsAreBounded(t *testing.T) {
	d := newDebugged(t)
	server := httptest.NewServer(d.page)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 16 {
		next(t, openStream(t, ctx, server.URL))
	}
	w := d.get("text/event-stream")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	cancel()
	require.Eventually(t, func() bool {
		// One whose reader is gone already, so that it ends after its first event.
		gone, leave := context.WithCancel(t.Context())
		leave()
		return d.get("text/event-stream", func(r *http.Request) { *r = *r.WithContext(gone) }).Code == http.StatusOK
	}, 20*time.Second, 10*time.Millisecond, "places are given back")
}

func openStream(t *testing.T, ctx context.Context, url string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	return bufio.NewReader(resp.Body)
}

// next is the data of the next event.
func next(t *testing.T, events *bufio.Reader) string {
	t.Helper()
	var data strings.Builder
	for {
		line, err := events.ReadString('\n')
		if errors.Is(err, io.EOF) || line == "\n" && data.Len() > 0 {
			return data.String()
		}
		require.NoError(t, err)
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			data.WriteString(text)
		}
	}
}

func TestEventLogIsBoundedAndKeepsLosses(t *testing.T) {
	d := newDebugged(t)
	for i := range 1000 {
		d.log.Observe(t.Context(), core.Event{Kind: core.EventLost, Key: fmt.Sprint("lost", i), Time: time.Now()})
		d.log.Observe(t.Context(), core.Event{Kind: core.EventRefused, Key: fmt.Sprint("refused", i), Time: time.Now()})
		d.log.Observe(t.Context(), core.Event{Kind: core.EventAcquired, Key: fmt.Sprint("acquired", i), Time: time.Now()})
	}
	for i := range 1000 {
		d.log.Observe(t.Context(), core.Event{Kind: core.EventRefused, Key: fmt.Sprint("storm", i), Time: time.Now()})
	}
	seen := map[string]int{}
	v := d.json(t)
	for _, e := range v.Events {
		seen[e.What]++
	}
	require.Equal(t, map[string]int{"lost": 100, "refused": 100}, seen)
	require.Equal(t, "storm999", v.Events[0].Key, "the newest first")
	require.Equal(t, "lost999", v.Events[100].Key, "a storm of refusals hides no loss")
}

func TestDebugHandlerWantsAManager(t *testing.T) {
	require.PanicsWithValue(t, "guard: DebugHandler(nil): pass the *core.Manager to show", func() { guard.DebugHandler(nil) })
}

// Mount the page where only operators get to it, and have the Manager tell the
// EventLog of what happens.
func ExampleDebugHandler() {
	nodes, err := coretest.StartEmbedded(3)
	if err != nil {
		panic(err)
	}
	defer nodes.Close()
	events := guard.NewEventLog(100)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: events})
	if err != nil {
		panic(err)
	}
	defer locks.Close()

	operators := http.NewServeMux() // served on localhost only, or behind authentication
	operators.Handle("/debug/dlm", guard.DebugHandler(locks, guard.DebugEvents(events)))

	r := httptest.NewRequest(http.MethodGet, "/debug/dlm", nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	operators.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"quorum":2`))
	// Output: 200 true
}

func ExampleDebugCache() {
	memory := cache.NewMemory(64 << 20)
	quotes, err := cache.New[string](cache.Config{Store: memory, Fresh: time.Second})
	if err != nil {
		panic(err)
	}
	defer quotes.Close()
	option := guard.DebugCache("quotes", quotes.Stats, memory.Usage)
	fmt.Println(option != nil)
	// Output: true
}
