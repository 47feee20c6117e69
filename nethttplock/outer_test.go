package nethttplock_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// eachAttitude runs test with a middleware of each of them.
func eachAttitude(t *testing.T, test func(*testing.T, func(http.Handler) http.Handler)) {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	defer locks.Close()
	for name, cfg := range map[string]guard.Config{"serialized": {}, "stale": {Stale: time.Hour}, "cached": {Fresh: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			cfg.Locks, cfg.Key, cfg.Store, cfg.Namespace = locks, keyfuncs.Path(), cache.NewMemory(1<<20), name
			g, err := guard.New(cfg)
			require.NoError(t, err)
			defer g.Close()
			test(t, nethttplock.Middleware(g))
		})
	}
}

// Middleware for timeouts, as chi has it, answers where the handler gives up.
func TestTimeoutsAnswer(t *testing.T) {
	eachAttitude(t, func(t *testing.T, guarded func(http.Handler) http.Handler) {
		var expire context.CancelFunc
		runs := 0
		h := guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			w.Header().Set("X-Tried", "yes")
			expire()
			<-r.Context().Done()
		}))
		for range 2 {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			expire = cancel
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/x", nil).WithContext(ctx))
			rec.WriteHeader(http.StatusGatewayTimeout)
			require.Equal(t, http.StatusGatewayTimeout, rec.Code)
			require.Equal(t, "yes", rec.Header().Get("X-Tried"))
		}
		require.Equal(t, 2, runs)
	})
}

// Middleware behind the Guard that recovers a panic cannot take back what was written.
func TestPanicRecoveredTooLate(t *testing.T) {
	eachAttitude(t, func(t *testing.T, guarded func(http.Handler) http.Handler) {
		runs := 0
		h := guarded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer func() {
				if recover() != nil {
					w.WriteHeader(http.StatusInternalServerError)
				}
			}()
			runs++
			_, _ = io.WriteString(w, "a part of")
			panic("in the middle")
		}))
		for range 2 {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/x", nil))
			require.Equal(t, http.StatusOK, rec.Code)
			require.Equal(t, "a part of", rec.Body.String())
		}
		require.Equal(t, 2, runs)
	})
}

// typing compresses, and tells what it has compressed as gorilla's CompressHandler does:
// by the content that comes before anybody has said a status.
type typing struct {
	http.ResponseWriter
	said bool
}

func (w *typing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *typing) WriteHeader(status int) {
	w.said = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *typing) Write(p []byte) (int, error) {
	if !w.said && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", http.DetectContentType(p))
	}
	w.said = true
	return w.ResponseWriter.Write(p)
}

// The first byte says the status, outside as inside, where the handler says none.
func TestWritersOutsideSeeTheContentFirst(t *testing.T) {
	page := "<html>" + strings.Repeat("x", 2048)
	write := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }
	eachAttitude(t, func(t *testing.T, guarded func(http.Handler) http.Handler) {
		for name, handler := range map[string]http.HandlerFunc{
			"whole":  write,
			"copied": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader(page)) },
			"large": func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, page+strings.Repeat("x", 1<<20))
			},
			"flushed": func(w http.ResponseWriter, r *http.Request) {
				write(w, r)
				_ = http.NewResponseController(w).Flush()
			},
			"with trailers": func(w http.ResponseWriter, r *http.Request) {
				write(w, r)
				w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			},
		} {
			h := guarded(handler)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "x-none") // net/http looks no further
				h.ServeHTTP(&typing{ResponseWriter: w}, r)
			}))
			defer server.Close()
			for _, cookie := range []string{"", "a=b"} {
				for range 2 {
					r, err := http.NewRequest(http.MethodGet, server.URL+"/"+url.PathEscape(name), nil)
					require.NoError(t, err)
					if cookie != "" {
						r.Header.Set("Cookie", cookie)
					}
					resp, err := server.Client().Do(r)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					require.Equal(t, page, string(body[:len(page)]), "%s, %q", name, cookie)
					require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"), "%s, %q", name, cookie)
				}
			}
		}
	})
}
