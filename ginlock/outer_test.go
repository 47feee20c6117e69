package ginlock_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

const patience = 20 * time.Second

var errBroken = errors.New("broken")

// unanswering are handlers that leave the answer to others, or break it off, and a
// path that makes them. None of it is for anybody else.
var unanswering = map[string]struct {
	path string
	h    gin.HandlerFunc
}{
	"no route":                  {path: "/nowhere"},
	"no route for the method":   {path: "/put"},
	"nothing but an error":      {h: func(c *gin.Context) { c.Header("X-Tried", "yes"); _ = c.Error(errBroken) }},
	"a status and an error":     {h: func(c *gin.Context) { c.Status(http.StatusNotFound); _ = c.Error(errBroken) }},
	"AbortWithError":            {h: func(c *gin.Context) { _ = c.AbortWithError(http.StatusNotFound, errBroken) }},
	"JSON of what is none":      {h: func(c *gin.Context) { c.JSON(http.StatusOK, make(chan int)) }},
	"a reader that breaks":      {h: func(c *gin.Context) { c.DataFromReader(http.StatusOK, -1, "text/plain", brokenReader(), nil) }},
	"HandleContext":             {h: func(c *gin.Context) { c.Request.URL.Path = "/elsewhere"; engineOf(c).HandleContext(c) }},
	"a panic recovered inside":  {h: func(c *gin.Context) { defer recovered(c); c.String(http.StatusOK, "a part of"); panic("late") }},
	"a context that has ended":  {h: func(c *gin.Context) { c.Request.Context().Value(expire{}).(func())(); <-c.Request.Context().Done() }},
	"the status of no route":    {path: "/nowhere/written", h: func(c *gin.Context) { _, _ = c.Writer.WriteString("mine") }},
	"an error that is answered": {h: func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusBadGateway, "bad"); _ = c.Error(errBroken) }},
}

type expire struct{}

type engineKey struct{}

func engineOf(c *gin.Context) *gin.Engine { return c.MustGet(engineKey{}).(*gin.Engine) }

func brokenReader() io.Reader {
	return io.MultiReader(strings.NewReader("a part of"), iotest.ErrReader(errBroken))
}

func recovered(c *gin.Context) {
	if recover() != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
	}
}

// answering is middleware that answers what was left: errors, as in gin's
// documentation, and timeouts.
func answering(c *gin.Context) {
	c.Next()
	switch {
	case len(c.Errors) > 0:
		c.JSON(-1, gin.H{"error": c.Errors.Last().Error()})
	case c.Request.Context().Err() != nil && !c.Writer.Written():
		c.AbortWithStatus(http.StatusGatewayTimeout)
	}
}

// leaving is an application with guarded before everything it answers.
func leaving(h, guarded gin.HandlerFunc) *gin.Engine {
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.Use(answering, func(c *gin.Context) { c.Set(engineKey{}, e) })
	e.GET("/elsewhere", func(c *gin.Context) { c.String(http.StatusAccepted, "elsewhere") })
	e.Use(guarded)
	e.PUT("/put")
	if h != nil {
		e.Any("/x", h)
		e.NoRoute(h)
	}
	return e
}

func TestAnswersAreThoseWithoutAGuard(t *testing.T) {
	for attitude, cfg := range map[string]guard.Config{
		"serialized": {}, "stale": {Stale: time.Hour}, "cached": {Fresh: time.Hour}, "idempotent": {Idempotent: &guard.Idempotent{}},
	} {
		cfg.Key, cfg.Store = keyfuncs.Path(), cache.NewMemory(1<<20)
		guarded := ginlock.Middleware(guarding(t, cfg))
		for name, tc := range unanswering {
			if attitude == "idempotent" && name == "a context that has ended" {
				continue // its handler is not told
			}
			t.Run(attitude+"/"+name, func(t *testing.T) {
				bare, app := leaving(tc.h, (*gin.Context).Next), leaving(tc.h, guarded)
				path := tc.path
				if path == "" {
					path = "/x"
				}
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet, http.MethodPost, http.MethodHead} {
					want, got := left(bare, method, path, name), left(app, method, path, name)
					require.Equal(t, want.Code, got.Code, method)
					if method != http.MethodHead {
						require.Equal(t, want.Body.String(), got.Body.String(), method)
					}
					for _, field := range []string{"X-Tried", "Allow"} {
						require.Equal(t, want.Header()[field], got.Header()[field], "%s %s", method, field)
					}
				}
			})
		}
	}
}

// left is what becomes of a request whose context ends when its handler says so.
func left(h http.Handler, method, path, key string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := httptest.NewRequest(method, path, nil).WithContext(context.WithValue(ctx, expire{}, func() { cancel() }))
	r.Header.Set("Idempotency-Key", key)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// A status is enough for a stale response to stand in.
func TestStaleStandsInForAbortWithError(t *testing.T) {
	runs := 0
	e := leaving(func(c *gin.Context) {
		if runs++; runs > 1 {
			_ = c.AbortWithError(http.StatusBadGateway, errBroken)
			return
		}
		c.Header("Cache-Control", "max-age=0, stale-if-error=60")
		c.String(http.StatusOK, "good")
	}, ginlock.Middleware(guarding(t, guard.Config{Fresh: time.Hour, Key: keyfuncs.Path(), Store: cache.NewMemory(1 << 20)})))
	for range 2 {
		rec := get(e, "/x")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Contains(t, rec.Body.String(), "good")
	}
	require.Equal(t, 2, runs)
}

// A refresh that ends in an error leaves what is stored as it is.
func TestRefreshWithoutAnAnswer(t *testing.T) {
	var runs atomic.Int64
	over := make(chan struct{}, 100)
	g := guarding(t, guard.Config{Fresh: time.Hour, Key: keyfuncs.Path(), Store: cache.NewMemory(1 << 20),
		OnFetch: func(ctx, _ context.Context) (context.Context, func(int, error)) {
			return ctx, func(int, error) { over <- struct{}{} }
		}})
	e := gin.New()
	e.GET("/x", ginlock.Middleware(g), func(c *gin.Context) {
		if runs.Add(1) > 1 {
			_ = c.Error(errBroken)
			return
		}
		c.Header("Cache-Control", "max-age=0, stale-while-revalidate=60")
		c.String(http.StatusOK, "good")
	})
	server := httptest.NewServer(e)
	defer server.Close()
	ask := func() string {
		resp, err := server.Client().Get(server.URL + "/x")
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Equal(t, "good", ask())
	<-over
	begun := time.Now()
	require.Equal(t, "good", ask())
	<-over
	for range 20 {
		require.Equal(t, "good", ask())
	}
	if runs.Load() > 2 {
		require.Greater(t, time.Since(begun), time.Second, "what has failed is not tried again at once")
	}
}

// c.Stream ends with its client.
func TestStreamEndsWithItsClient(t *testing.T) {
	for name, cfg := range map[string]guard.Config{"serialized": {}, "stale": {Stale: time.Hour}, "cached": {Fresh: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			cfg.Key, cfg.Store = keyfuncs.Path(), cache.NewMemory(1<<20)
			gone := make(chan bool, 1)
			e := gin.New()
			e.GET("/x", ginlock.Middleware(guarding(t, cfg)), func(c *gin.Context) {
				until := time.Now().Add(patience)
				gone <- c.Stream(func(w io.Writer) bool {
					_, _ = io.WriteString(w, "data\n")
					time.Sleep(time.Millisecond)
					return time.Now().Before(until)
				})
			})
			server := httptest.NewServer(e)
			defer server.Close()
			resp, err := server.Client().Get(server.URL + "/x")
			require.NoError(t, err)
			_ = resp.Body.Close()
			require.True(t, <-gone)
		})
	}
}
