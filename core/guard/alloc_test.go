//go:build !race

// The race detector drops what is in a sync.Pool now and then, to find those who
// use it after they gave it back.

package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

func TestCachedHitAllocatesNothing(t *testing.T) {
	h, r := warm(t)
	w := &reused{header: http.Header{}}
	hit := testing.AllocsPerRun(2000, func() { clear(w.header); h.ServeHTTP(w, r) })
	require.Contains(t, w.header.Get("Cache-Status"), "hit")
	require.LessOrEqual(t, hit, 0.02, "one slab of header lines for many hits")
}

// A framework's router costs a copy of the request, a template its key.
func TestRoutedHitAllocatesTheCopyAndTheKey(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), Key: keyfuncs.MustTemplate("quote_<id>")})
	r := httptest.NewRequest(http.MethodGet, "/quotes/1", nil)
	w := &reused{header: http.Header{}}
	hits := 0
	serve := func() {
		clear(w.header)
		routed := guard.NewRouted(r.Context(), r, "/quotes/:id")
		routed.SetPathValue("id", "1")
		if g.Hit(w, routed) {
			hits++
			return
		}
		_ = g.ServeRouted(w, routed, func(w http.ResponseWriter, r *http.Request) error { bare(w, r); return nil })
	}
	serve()
	hit := testing.AllocsPerRun(2000, serve)
	require.EqualValues(t, 2001, hits) // AllocsPerRun warms up with one more
	require.LessOrEqual(t, hit, 2.02)
}
