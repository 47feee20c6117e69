package guard_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// ask is all that an answer of the crowd's origin depends on.
type ask struct {
	guard, key, host, query, lang string
	secure                        bool
}

// someAsk is one of a few thousand, and most often one of a few.
func someAsk() ask {
	few := 1 + rand.IntN(60)
	return ask{
		guard: mostly("a", "b"), key: strconv.Itoa(rand.IntN(1 + rand.IntN(few))), host: mostly("a.test", "b.test"),
		query: mostly("", "q=1", "q=2"), lang: mostly("de", "fr"), secure: rand.IntN(8) == 0,
	}
}

// mostly is the first of them, and sometimes another one.
func mostly(first string, others ...string) string {
	if rand.IntN(5) > 0 {
		return first
	}
	return others[rand.IntN(len(others))]
}

// body is of a length of its own, so that no part of one passes for another.
func (a ask) body() string {
	text := fmt.Sprintf("%+v", a)
	return strings.Repeat(text, 1+len(a.key)+len(a.query)+len(a.host+a.lang)%5)
}

func (a ask) tag() string { return strconv.Quote(fmt.Sprintf("%+v", a)) }

func (a ask) header() http.Header {
	return http.Header{
		"Content-Type": {"text/plain"}, "Content-Language": {a.lang}, "Etag": {a.tag()}, "Vary": {"Accept-Language"},
		"Link": {"</" + a.key + ">", "<//" + a.host + ">"}, "Content-Length": {strconv.Itoa(len(a.body()))},
	}
}

// crowdOrigin answers what it is asked for by a Guard's name.
func crowdOrigin(name string, runs *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		a := ask{name, r.URL.Path[1:], r.Host, r.URL.RawQuery, r.Header.Get("Accept-Language"), r.TLS != nil}
		for field, values := range a.header() {
			w.Header()[field] = values
		}
		_, _ = w.Write([]byte(a.body()))
	})
}

// turnInto makes r the request for a; servers use requests again.
func (a ask) turnInto(r *http.Request) {
	r.URL.Path, r.URL.RawQuery, r.Host, r.TLS = "/"+a.key, a.query, a.host, nil
	if r.RequestURI = r.URL.Path; a.query != "" {
		r.RequestURI += "?" + a.query
	}
	if a.secure {
		r.TLS = &tls.ConnectionState{}
	}
	r.Header.Set("Accept-Language", a.lang)
}

// check compares an answer with what the origin has for exactly that.
func (a ask) check(t *testing.T, w *httptest.ResponseRecorder) bool {
	got := w.Header().Clone()
	got.Del("Date")
	got.Del("Age")
	got.Del("Cache-Status")
	return assert.Equal(t, http.StatusOK, w.Code) && assert.Equal(t, a.body(), w.Body.String()) && assert.Equal(t, a.header(), got)
}

// TestEveryAnswerIsThatOfItsRequest: clients ask at once for far more than memory can
// hold, of two Guards that share it, while some of it is purged.
func TestEveryAnswerIsThatOfItsRequest(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]func(*cache.Memory) cache.Store{
		"memory": func(m *cache.Memory) cache.Store { return m },
		"tiered": func(m *cache.Memory) cache.Store {
			client := redis.NewClient(coretest.Embedded(t, 1).Node(0).Options())
			t.Cleanup(func() { _ = client.Close() })
			return cache.NewTiered(m, cache.NewRedis(client))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, runs := behind(cache.NewMemory(20<<10)), new(atomic.Int64)
			locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs(), NodeTimeout: patience, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, locks.Close()) })
			guards, handlers := map[string]*guard.Guard{}, map[string]http.Handler{}
			for _, g := range []string{"a", "b"} {
				guards[g] = newGuard(t, guard.Config{Locks: locks, Store: store, Namespace: g, Fresh: time.Hour, Wait: time.Minute})
				handlers[g] = nethttplock.Wrap(guards[g], crowdOrigin(g, runs))
			}
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					r := &http.Request{Method: http.MethodGet, URL: new(url.URL), Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
					for range 50 {
						a := someAsk()
						if rand.IntN(50) == 0 {
							_ = guards[a.guard].Purge(context.Background(), "/"+a.key)
						}
						for range 1 + rand.IntN(4) {
							w := httptest.NewRecorder()
							a.turnInto(r)
							handlers[a.guard].ServeHTTP(w, r)
							if !a.check(t, w) {
								return
							}
						}
					}
				})
			}
			clients.Wait()
			hits := guards["a"].Stats().Hits + guards["b"].Stats().Hits
			t.Logf("%d runs, %d hits", runs.Load(), hits)
			require.NotZero(t, hits)
			require.Greater(t, runs.Load(), int64(100))
		})
	}
}
