package cache_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

// What a process of TestHistory does, and how long its calls may take.
const (
	historyFresh   = 200 * time.Millisecond
	historyStale   = 300 * time.Millisecond
	historyCall    = 1500 * time.Millisecond // how long a caller stays
	historyStore   = 500 * time.Millisecond
	historyWorkers = 4
	slowFetch      = 300 * time.Millisecond
)

// event is something that a process saw or did, dated by the clock of the machine.
type event struct {
	What       string // "fetch" begins, "made" or "gave up"; "look"; "purge"; "stall"
	Key        string `json:",omitempty"`
	Fetch      int64  `json:",omitempty"` // which one
	Began, End int64
	Made       *dated `json:",omitempty"` // the value, unless the look failed
	Inline     bool   `json:",omitempty"`
	Err        string `json:",omitempty"`
}

// dated is a value that knows when its fetch ran. Keys other than the short ones
// live for as long as nobody purges them, and the quiet ones are purged by order.
type dated struct {
	Key        string
	Began, End int64
}

func (d *dated) CachePolicy() cache.Policy {
	p := cache.Policy{Fresh: historyFresh, Stale: historyStale, Tags: []string{historyTag(d.Key)}}
	if !strings.HasPrefix(d.Key, "short") {
		p.Fresh = time.Hour
	}
	return p
}

// historyTag is of the last digit of a key.
func historyTag(key string) string { return "tag" + key[len(key)-1:] }

// A key of its own for each order, so that nothing else happens to it meanwhile.
const (
	quietKey = "quiet8"
	slowKey  = "short9"
)

type historian struct {
	cache   *cache.Cache[*dated]
	fetches atomic.Int64
	hang    atomic.Bool // the next fetch has no end
	slow    atomic.Bool // the next one of slowKey takes slowFetch

	mu  sync.Mutex
	out *json.Encoder // guarded by mu
}

func (h *historian) tell(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.out.Encode(e)
}

// runHistory calls until its input ends. A line of it is an order.
func runHistory(cfg fleetConfig) int {
	locks, err := core.New(core.Config{Nodes: cfg.Locks, Logger: quiet})
	if err != nil {
		return 2
	}
	client := dialURL(cfg.Store)
	c, err := cache.New[*dated](cache.Config{
		Locks: locks, LockTTL: cfg.LockTTL, Fresh: historyFresh, Wait: historyCall, StoreTimeout: historyStore, OnLockFailure: cache.FailClosed,
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)), Logger: quiet,
	})
	if err != nil {
		return 2
	}
	h := &historian{cache: c, out: json.NewEncoder(os.Stdout)}
	fmt.Println("ready")
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for range historyWorkers {
		workers.Go(func() { h.work(ctx) })
	}
	workers.Go(func() { h.watchStalls(ctx) })
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "hang":
			h.hang.Store(true)
		case "slow":
			h.slow.Store(true)
		case "purge":
			h.purge(quietKey)
		}
	}
	cancel()
	workers.Wait()
	for _, end := range []io.Closer{c, locks, client} {
		_ = end.Close()
	}
	return 0
}

func (h *historian) work(ctx context.Context) {
	for ctx.Err() == nil {
		key := fmt.Sprint([]string{"short", "long"}[rand.IntN(2)], rand.IntN(3))
		switch rand.IntN(50) {
		case 0:
			h.purgeAny(key)
		case 1:
			h.look(key, true)
		case 2, 3, 4, 5:
			h.look(quietKey, false)
		case 6, 7, 8, 9:
			h.look(slowKey, false)
		default:
			h.look(key, false)
		}
		time.Sleep(rand.N(8 * time.Millisecond)) // what the caller does in between
	}
}

func (h *historian) look(key string, force bool) {
	ctx, cancel := context.WithTimeout(context.Background(), historyCall)
	defer cancel()
	e := event{What: "look", Key: key, Inline: rand.IntN(2) == 0, Began: time.Now().UnixNano()}
	r, err := h.cache.Do(ctx, cache.Call[*dated]{
		Key: key, Fetch: h.fetch(key), Inline: e.Inline, Contention: cache.Contention(1 + rand.IntN(3)), Force: force,
	})
	e.End, e.Made = time.Now().UnixNano(), r.Value
	if err != nil {
		e.Made, e.Err = nil, err.Error()
	}
	h.tell(e)
}

func (h *historian) purgeAny(key string) {
	if rand.IntN(3) == 0 {
		h.purgeBy(historyTag(key), h.cache.InvalidateTag)
	} else {
		h.purge(key)
	}
}

func (h *historian) purge(key string) { h.purgeBy(key, h.cache.Invalidate) }

func (h *historian) purgeBy(name string, purge func(context.Context, ...string) error) {
	e := event{What: "purge", Key: name, Began: time.Now().UnixNano()}
	if err := purge(context.Background(), name); err != nil {
		e.Err = err.Error()
	}
	e.End = time.Now().UnixNano()
	h.tell(e)
}

func (h *historian) fetch(key string) func(context.Context) (*dated, error) {
	return func(ctx context.Context) (*dated, error) {
		e := event{What: "fetch", Key: key, Fetch: h.fetches.Add(1), Began: time.Now().UnixNano()}
		h.tell(e)
		e.What = "gave up"
		defer func() { e.End = time.Now().UnixNano(); h.tell(e) }()
		work := time.After(rand.N(30 * time.Millisecond))
		switch {
		case h.hang.CompareAndSwap(true, false):
			h.tell(event{What: "hangs"})
			work = nil
		case key == slowKey && h.slow.CompareAndSwap(true, false):
			h.tell(event{What: "slow"})
			work = time.After(slowFetch)
		}
		select {
		case <-work:
			e.What = "made"
			return &dated{key, e.Began, time.Now().UnixNano()}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// watchStalls tells how much later than it should a process gets to run.
func (h *historian) watchStalls(ctx context.Context) {
	const nap = 10 * time.Millisecond
	most := time.Duration(0)
	for ctx.Err() == nil {
		begun := time.Now()
		time.Sleep(nap)
		if late := time.Since(begun) - nap; late > most {
			most = late
			h.tell(event{What: "stall", End: int64(most)})
		}
	}
}
