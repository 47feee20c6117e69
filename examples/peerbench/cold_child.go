package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"time"

	gincache "github.com/chenyahui/gin-cache"
	"github.com/chenyahui/gin-cache/persist"
	"github.com/gin-gonic/gin"
	rediscache "github.com/go-redis/cache/v9"
	redisv8 "github.com/go-redis/redis/v8"
	"github.com/redis/go-redis/v9"
	"github.com/viccon/sturdyc"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/ginlock"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

// coldJob sends requests for one key, all at once.
type coldJob struct {
	Contender, URL, Key string
	Requests            int
	Handler             time.Duration
}

type coldResult struct {
	Runs  int
	Nanos []float64
}

// coldTarget is a library ready to answer; its handler or fetch is slow.
type coldTarget struct {
	ask  func(key string) error
	runs atomic.Int64
}

func (j *coldJob) prepare() (work, error) {
	var t coldTarget
	open := map[string]func(*coldTarget) error{
		"dlm ginlock": j.openGuard, "dlm core/cache": j.openCache, "gin-cache": j.openGinCache,
		"go-redis/cache": j.openGoRedisCache, "sturdyc": j.openSturdyc, "rueidisaside": j.openAside,
		"bare handler": j.openBare,
	}[j.Contender]
	if open == nil {
		return nil, fmt.Errorf("no cache %q", j.Contender)
	}
	if err := open(&t); err != nil {
		return nil, err
	}
	if err := t.ask(fmt.Sprintf("warm-%d-%s", os.Getpid(), j.Key)); err != nil { // connections, subscriptions, scripts: a fill of its own
		return nil, err
	}
	t.runs.Store(0)
	return func() (any, error) { return j.run(&t) }, nil
}

func (j *coldJob) run(t *coldTarget) (coldResult, error) {
	var wait sync.WaitGroup
	nanos, errs := make([]float64, j.Requests), make([]error, j.Requests)
	for i := range j.Requests {
		wait.Go(func() {
			start := time.Now()
			errs[i] = t.ask(j.Key)
			nanos[i] = float64(time.Since(start))
		})
	}
	wait.Wait()
	return coldResult{int(t.runs.Load()), nanos}, errors.Join(errs...)
}

func (j *coldJob) slow(t *coldTarget) {
	t.runs.Add(1)
	time.Sleep(j.Handler)
}

func (j *coldJob) engine(t *coldTarget, middleware gin.HandlerFunc) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/quotes/:id", middleware, func(c *gin.Context) {
		j.slow(t)
		c.Data(http.StatusOK, "text/plain; charset=utf-8", cachedBody)
	})
	t.ask = func(key string) error {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/quotes/"+key, nil))
		if w.Code != http.StatusOK || w.Body.Len() != len(cachedBody) {
			return fmt.Errorf("status %d with %d bytes", w.Code, w.Body.Len())
		}
		return nil
	}
}

// store is memory over Redis, which is what makes a fetch one in the fleet.
func (j *coldJob) store() (cache.Store, *core.Manager, error) {
	opt, err := redis.ParseURL(j.URL)
	if err != nil {
		return nil, nil, err
	}
	m, err := core.New(core.Config{Nodes: []string{j.URL}, Logger: quiet})
	return cache.NewTiered(cache.NewMemory(64<<20), cache.NewRedis(redis.NewClient(opt))), m, err
}

func (j *coldJob) openGuard(t *coldTarget) error {
	store, m, err := j.store()
	if err != nil {
		return err
	}
	key, err := keyfuncs.Template("quote_<id>")
	if err != nil {
		return err
	}
	g, err := guard.New(guard.Config{Locks: m, Key: key, Fresh: cachedFor, Store: store, Logger: quiet})
	if err != nil {
		return err
	}
	j.engine(t, ginlock.Middleware(g))
	return nil
}

func (j *coldJob) openCache(t *coldTarget) error {
	store, m, err := j.store()
	if err != nil {
		return err
	}
	c, err := cache.New[quote](cache.Config{Locks: m, Store: store, Fresh: cachedFor, Logger: quiet})
	if err != nil {
		return err
	}
	t.ask = func(key string) error {
		_, err := c.Get(context.Background(), key, func(ctx context.Context) (quote, error) {
			j.slow(t)
			return fetchQuote(ctx)
		})
		return err
	}
	return nil
}

func (j *coldJob) openGinCache(t *coldTarget) error {
	opt, err := redisv8.ParseURL(j.URL)
	if err != nil {
		return err
	}
	store := persist.NewRedisStore(redisv8.NewClient(opt))
	j.engine(t, gincache.CacheByRequestURI(store, cachedFor))
	return nil
}

// openGoRedisCache collapses the calls of a process, as its Once does.
func (j *coldJob) openGoRedisCache(t *coldTarget) error {
	opt, err := redis.ParseURL(j.URL)
	if err != nil {
		return err
	}
	c := rediscache.New(&rediscache.Options{Redis: redis.NewClient(opt), LocalCache: rediscache.NewTinyLFU(10_000, cachedFor)})
	t.ask = func(key string) error {
		var q quote
		return c.Once(&rediscache.Item{Key: key, Value: &q, TTL: cachedFor, Do: func(*rediscache.Item) (any, error) {
			j.slow(t)
			return fetchQuote(context.Background())
		}})
	}
	return nil
}

// openSturdyc collapses the calls of a process, and knows of no other.
func (j *coldJob) openSturdyc(t *coldTarget) error {
	c := sturdyc.New[quote](10_000, 64, cachedFor, 10)
	t.ask = func(key string) error {
		_, err := c.GetOrFetch(context.Background(), key, func(ctx context.Context) (quote, error) {
			j.slow(t)
			return fetchQuote(ctx)
		})
		return err
	}
	return nil
}

func (j *coldJob) openAside(t *coldTarget) error {
	c, err := openAside(j.URL)
	if err != nil {
		return err
	}
	t.ask = func(key string) error {
		_, err := onceAside(context.Background(), c, key, func(ctx context.Context) (quote, error) {
			j.slow(t)
			return fetchQuote(ctx)
		})
		return err
	}
	return nil
}

// openBare has no cache: what 1000 requests cost that each sleep as long.
func (j *coldJob) openBare(t *coldTarget) error {
	j.engine(t, func(*gin.Context) {})
	return nil
}
