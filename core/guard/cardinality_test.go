package guard_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
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

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
