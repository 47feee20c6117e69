package guard_test

import (
	"bytes"
	"cmp"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// vandal is middleware that writes into every header value it finds, and behind it.
func vandal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		for name, values := range w.Header() {
			w.Header()[name] = append(values, "added")
			for i := range values {
				values[i] = "overwritten"
			}
		}
	})
}

// What outer middleware writes into its header map, and when, is in nobody
// else's response. The race detector watches.
func TestHeadersOfAHitBelongToItsClient(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)})
	h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Link"] = []string{"</a>", "</b>"}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(page)
	}))
	get := func(h http.Handler) http.Header {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/quotes/1", nil))
		return w.Header()
	}
	get(h)
	want := get(h)
	require.Contains(t, want.Get("Cache-Status"), "hit")
	require.Equal(t, []string{"</a>", "</b>"}, want["Link"])
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 400 { // more than share one slab
				get(vandal(h))
			}
		})
	}
	both.Wait()
	got := get(h)
	for _, name := range []string{"Age", "Cache-Status"} { // a second may have passed
		require.Len(t, got[name], 1)
		require.NotContains(t, got[name][0], "written")
		delete(want, name)
		delete(got, name)
	}
	require.Equal(t, want, got)
}

// A Guard before several routes, and several Guards, take their turns with what
// hits keep for the next one.
func TestHitsOfInterleavedRoutesKeepApart(t *testing.T) {
	locks := newLocks(t)
	store := cache.NewMemory(1 << 20)
	mux := http.NewServeMux()
	for _, namespace := range []string{"a", "b"} {
		g := newGuard(t, guard.Config{
			Locks: locks, Store: store, Namespace: namespace, Fresh: time.Hour,
			Key: func(r *http.Request) (string, error) { return r.PathValue("id"), nil },
		})
		for _, kind := range []string{"orders", "quotes"} {
			answer := namespace + " " + kind
			mux.Handle("GET /"+namespace+"/"+kind+"/{id}", nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(answer + " " + r.PathValue("id")))
			})))
		}
	}
	for round := range 3 {
		for _, id := range []string{"1", "2"} {
			for _, kind := range []string{"orders", "quotes"} {
				for _, namespace := range []string{"a", "b"} {
					w := httptest.NewRecorder()
					mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+namespace+"/"+kind+"/"+id, nil))
					require.Equal(t, namespace+" "+kind+" "+id, w.Body.String())
					if round > 0 {
						require.Contains(t, w.Header().Get("Cache-Status"), "hit")
					}
				}
			}
		}
	}
}

// Servers that are not net/http's read one request over the text of the one
// before. What a hit remembers of it must not turn into the next one.
func TestHitsRememberNoTextOfTheRequest(t *testing.T) {
	for name, use := range map[string]func(r *http.Request, text string){
		"host":  func(r *http.Request, text string) { r.Host = text },
		"path":  func(r *http.Request, text string) { r.URL.Path, r.RequestURI = "/"+text, "" },
		"query": func(r *http.Request, text string) { r.URL.RawQuery, r.RequestURI = text, "" },
		"route": func(r *http.Request, text string) { r.Pattern = text },
		"key":   func(r *http.Request, text string) { r.SetPathValue("key", text) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, guard.Config{
				Fresh: time.Hour, Store: cache.NewMemory(1 << 20),
				Key: func(r *http.Request) (string, error) { return cmp.Or(r.PathValue("key"), "same"), nil },
			})
			buffer := []byte("/a=1")
			text := unsafe.String(unsafe.SliceData(buffer), len(buffer))
			h := nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Clone(buffer)) }))
			get := func() string {
				r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
				use(r, text)
				h.ServeHTTP(w, r)
				return w.Body.String()
			}
			for range 3 {
				require.Equal(t, "/a=1", get())
			}
			copy(buffer, "/b=2")
			require.Equal(t, "/b=2", get())
		})
	}
}

// What one Guard remembers of a hit is nothing to another one that is asked the
// same, with a memory or without.
func TestHitsOfOneGuardAreNotAnothers(t *testing.T) {
	locks := newLocks(t)
	guarded := func(store cache.Store, answer string) http.Handler {
		g := newGuard(t, guard.Config{Locks: locks, Namespace: answer, Fresh: time.Hour, Store: store})
		return nethttplock.Wrap(g, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	}
	handlers := map[string]http.Handler{
		"near":       guarded(cache.NewMemory(1<<20), "near"),
		"elsewhere":  guarded(struct{ cache.Store }{cache.NewMemory(1 << 20)}, "elsewhere"),
		"also near":  guarded(cache.NewMemory(1<<20), "also near"),
		"without it": guarded(struct{ cache.Store }{cache.NewMemory(1 << 20)}, "without it"),
	}
	for range 200 {
		for answer, h := range handlers { // in any order
			for range rand.N(3) {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/quotes/1", nil))
				require.Equal(t, answer, w.Body.String())
			}
		}
	}
}
