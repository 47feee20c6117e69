package guard_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// Whoever asks for what nobody has asked for before, again and again, gets an
// answer each time and leaves nothing behind but what the store has room for.
func TestManyTargetsLeaveMemoryFlat(t *testing.T) {
	const (
		room    = 1 << 20
		targets = 400
		body    = 64 << 10 // 25 MiB a round
	)
	text := strings.Repeat("x", body)
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(room),
		Key: func(r *http.Request) (string, error) { return r.URL.RequestURI(), nil }})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	ask := func(from int) {
		for i := range targets {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/x?n=%d", from+i), nil))
			require.Equal(t, http.StatusOK, w.Code)
		}
	}
	ask(0)
	before := heap()
	ask(targets)
	require.Less(t, heap(), before+8*room, "bytes in use")
}

// The cap on bytes is one on entries, however small they are.
func TestManyTargetsAreBoundedInNumber(t *testing.T) {
	const (
		room     = 16 << 10
		smallest = 512 // what an entry counts for at least
		targets  = 10 * room / smallest
	)
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(room), Key: func(*http.Request) (string, error) { return "k", nil }})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for i := range targets {
		require.Equal(t, http.StatusNoContent, asked(h, fmt.Sprintf("/x?n=%d", i)))
	}
	require.Eventually(t, func() bool { return g.Usage().Entries <= room/smallest }, patience, time.Millisecond, "%d entries", g.Usage().Entries)
}

var targets = flag.Int("targets", 2000, "how many targets TestFloodsLeaveMemoryFlat asks for in each row; what is kept of each beside its text shows only with many more")

// padding makes the text of 2000 targets more than what memory may grow by.
var padding = strings.Repeat("x", 4<<10)

// floods are what an attacker can vary without end, on one route.
var floods = []struct {
	name   string
	ask    func(i int) (query, language string)
	answer http.HandlerFunc
}{
	{"queries", func(i int) (string, string) { return fmt.Sprint("n=", i, padding), "" }, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}},
	{"variants", func(i int) (string, string) { return "", fmt.Sprint("x-", i, padding) }, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		_, _ = io.WriteString(w, r.Header.Get("Accept-Language"))
	}},
	{"what is not stored", func(i int) (string, string) { return fmt.Sprint("n=", i, padding), "" }, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}},
	{"what fails", func(i int) (string, string) { return fmt.Sprint("n=", i, padding), "" }, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}},
	{"tags", func(i int) (string, string) { return fmt.Sprint("n=", i), "" }, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Surrogate-Key", strings.Repeat(r.URL.RawQuery+" ", 100))
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}},
}

// Whatever is varied, each client gets its own answer, and the store holds what it
// has room for, while the flood lasts and after it.
func TestFloodsLeaveMemoryFlat(t *testing.T) {
	const (
		room     = 64 << 10
		smallest = 256 // what an entry and its name count for at least
		slack    = 4 << 20
	)
	// A server of its own process: what an embedded one remembers is in the heap.
	locks, err := core.New(core.Config{Nodes: coretest.Redis(t, 1).URLs(), NodeTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	for _, flood := range floods {
		t.Run(flood.name, func(t *testing.T) {
			g := newGuard(t, guard.Config{Locks: locks, Fresh: time.Hour, Store: cache.NewMemory(room),
				Key: func(*http.Request) (string, error) { return "k", nil }})
			h := nethttplock.Wrap(g, flood.answer)
			ask := func(i int) string {
				query, language := flood.ask(i)
				w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x?"+query, nil)
				if language != "" {
					r.Header.Set("Accept-Language", language)
				}
				h.ServeHTTP(w, r)
				require.Equal(t, query+language, w.Body.String())
				return w.Header().Get("Cache-Status")
			}
			ask(0)
			before, most := heap(), uint64(0)
			for i := range *targets {
				ask(i)
				if i%100 == 0 { // a burst may overshoot
					most = max(most, live())
					require.LessOrEqual(t, g.Usage().Bytes, uint64(2*room))
				}
			}
			require.Less(t, most, before+slack, "bytes alive while it lasts")
			require.Less(t, heap(), before+slack, "bytes in use after it")
			require.Eventually(t, func() bool { return g.Usage().Bytes <= room && g.Usage().Entries <= room/smallest }, patience, time.Millisecond)
			t.Logf("%d asked for: %d bytes in %d entries, at most %d bytes alive, %d before", *targets, g.Usage().Bytes, g.Usage().Entries, most, before)
		})
	}
}

// live is what the last collection found in use.
func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
