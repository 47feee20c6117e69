//go:build unix

package guard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// raceTask has the test binary run as one of the processes of TestRaces.
const raceTask = "DLM_TEST_RACE"

const (
	raceTTL     = time.Second
	raceWorkers = 3
	raceMemory  = 40 << 10 // less than there is to hold
)

// raceConfig is what a process is to work with.
type raceConfig struct {
	Locks  []string // URLs
	Store  string   // URL; "": the Guard's own choice
	Origin string   // path
}

// raceEvent is something that a process saw or did.
type raceEvent struct {
	What       string // "look", "purge", "run", "slow", "stall"
	Key        string `json:",omitempty"`
	Host       string `json:",omitempty"` // of a purge "": all
	Lang       string `json:",omitempty"`
	Began, End int64
	Version    uint64 `json:",omitempty"` // 0: none, of a refusal or an error
	Made       int64  `json:",omitempty"` // when the origin said so
	Run        string `json:",omitempty"` // which one said so
	Status     int    `json:",omitempty"`
	Cache      string `json:",omitempty"` // Cache-Status
	Wrong      string `json:",omitempty"` // what does not go together
	Lock       string `json:",omitempty"` // of a run: "" for none
	Lost       bool   `json:",omitempty"` // and it was over when the run was
	Err        string `json:",omitempty"`

	by int // the process; known to who reads it
}

// racer is one of the processes: a server and clients of it.
type racer struct {
	guard    *guard.Guard
	handler  *raceHandler
	url      string
	client   *http.Client
	unpurged atomic.Int64 // unsafe requests whose purge failed
	posting  sync.Mutex   // so that it is known whose

	mu  sync.Mutex
	out *json.Encoder // guarded by mu
}

func (p *racer) tell(e raceEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(e)
}

// runRacer works until its input ends. A line of it asks for a slow run.
func runRacer(task string) (err error) {
	var cfg raceConfig
	if err := json.Unmarshal([]byte(task), &cfg); err != nil {
		return err
	}
	p := &racer{out: json.NewEncoder(os.Stdout)}
	closing, err := p.open(cfg)
	defer func() { err = errors.Join(err, closing()) }()
	if err != nil {
		return err
	}
	p.tell(raceEvent{What: "ready"})
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { p.watchStalls(ctx) })
	for range raceWorkers {
		working.Go(func() { (&raceClient{racer: p, known: map[string]string{}}).work(ctx) })
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		p.handler.slow.Store(true)
	}
	cancel()
	working.Wait()
	return nil
}

func (p *racer) open(cfg raceConfig) (closing func() error, err error) {
	var closers []func() error
	closing = func() (err error) {
		for i := range closers {
			err = errors.Join(err, closers[len(closers)-1-i]())
		}
		return err
	}
	origin, err := openRaceOrigin(cfg.Origin)
	if err != nil {
		return closing, err
	}
	p.handler = &raceHandler{origin: origin, tell: p.tell}
	locks, err := core.New(core.Config{Nodes: cfg.Locks, TTL: raceTTL, NodeTimeout: 250 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return closing, err
	}
	closers = append(closers, locks.Close)
	config := guard.Config{
		Locks: locks, Key: func(r *http.Request) (string, error) { return r.PathValue("id"), nil }, Scope: guard.ScopeNamespace, Namespace: "races",
		Fresh: raceFresh, Stale: raceStale, Wait: 2 * time.Second, ObeyClient: true, OnUnavailable: guard.FailClosed, Logger: slog.New(unpurgedLog{p: p}),
	}
	if cfg.Store != "" {
		options, err := redis.ParseURL(cfg.Store)
		if err != nil {
			return closing, err
		}
		client := redis.NewClient(options)
		closers = append(closers, client.Close)
		config.Store = cache.NewTiered(cache.NewMemory(raceMemory), cache.NewRedis(client))
	}
	if p.guard, err = guard.New(config); err != nil {
		return closing, err
	}
	closers = append(closers, p.guard.Close)
	stop, err := p.serve()
	if err == nil {
		closers = append(closers, stop)
	}
	return closing, err
}

func (p *racer) serve() (stop func() error, err error) {
	mux := http.NewServeMux()
	mux.Handle("/x/{id}", nethttplock.Wrap(p.guard, p.handler))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	p.url = "http://" + listener.Addr().String()
	p.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: raceWorkers, DisableCompression: true}}
	return server.Close, nil
}

// unpurgedLog hears of the purges that failed.
type unpurgedLog struct {
	slog.Handler
	p *racer
}

func (l unpurgedLog) Enabled(context.Context, slog.Level) bool { return true }

func (l unpurgedLog) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "not purged after an unsafe request") {
		l.p.unpurged.Add(1)
	}
	return nil
}

// watchStalls tells of when the process did not get to run as it should.
func (p *racer) watchStalls(ctx context.Context) {
	const nap = 5 * time.Millisecond
	for ctx.Err() == nil {
		began := machineTime()
		time.Sleep(nap)
		if end := machineTime(); end-began > int64(2*nap) {
			p.tell(raceEvent{What: "stall", Began: began, End: end})
		}
	}
}

// raceClient is one client of a racer.
type raceClient struct {
	*racer
	known map[string]string // entity tags, by resource
}

func (c *raceClient) work(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		res := raceResource{key: pick(raceKeys), host: pick(raceHosts)}
		if res.key[0] == 'v' {
			res.lang = pick(raceLangs)
		}
		act := rand.IntN(100)
		if i < 3 { // everybody, however slow the machine
			act = i
		}
		switch act {
		case 0:
			c.purge(res.key, c.guard.Purge, res.key)
		case 1:
			c.purgeGroup(res.key)
		case 2:
			c.post(res)
		default:
			c.look(res)
		}
		time.Sleep(rand.N(time.Millisecond)) // what the client does in between
	}
}

func pick(from []string) string { return from[rand.IntN(len(from))] }

// purge changes what the origin has, and purges it.
func (c *raceClient) purge(key string, purge func(context.Context, ...string) error, name string, others ...string) {
	e := raceEvent{What: "purge", Key: key, Version: c.handler.origin.version(key).Add(1)}
	var also []raceEvent
	for _, other := range others {
		also = append(also, raceEvent{What: "purge", Key: other, Version: c.handler.origin.version(other).Load()})
	}
	e.Began = machineTime()
	if err := purge(context.Background(), name); err != nil {
		e.Err = err.Error()
	}
	e.End = machineTime()
	for _, o := range append(also, e) {
		o.Began, o.End, o.Err = e.Began, e.End, e.Err
		c.tell(o)
	}
}

func (c *raceClient) purgeGroup(key string) {
	var others []string
	for _, k := range raceKeys {
		if k != key && raceGroup(k) == raceGroup(key) {
			others = append(others, k)
		}
	}
	c.purge(key, c.guard.PurgeTags, raceGroup(key), others...)
}

func (c *raceClient) post(res raceResource) {
	c.posting.Lock()
	defer c.posting.Unlock()
	failed := c.unpurged.Load()
	e := raceEvent{What: "purge", Key: res.key, Host: res.host, Began: machineTime()}
	resp, _, err := c.ask(http.MethodPost, res)
	e.End = machineTime()
	switch {
	case err != nil:
		e.Err = err.Error()
	case c.unpurged.Load() != failed:
		e.Err = "not purged"
	default:
		e.Version, _ = strconv.ParseUint(resp.Header.Get("X-Version"), 10, 64)
	}
	c.tell(e)
}

func (c *raceClient) look(res raceResource) {
	method, header := http.MethodGet, []string(nil)
	switch rand.IntN(16) {
	case 0:
		method = http.MethodHead
	case 1:
		method, header = http.MethodHead, []string{"Cache-Control", "no-cache"}
	case 2:
		header = []string{"Cache-Control", "no-cache"}
	case 3:
		header = []string{"Range", "bytes=10-99"}
	case 4, 5:
		if tag := c.known[res.tag()]; tag != "" {
			header = []string{"If-None-Match", tag}
		}
	}
	e := raceEvent{What: "look", Key: res.key, Host: res.host, Lang: res.lang, Began: machineTime()}
	resp, body, err := c.ask(method, res, header...)
	e.End = machineTime()
	if err != nil {
		e.Err = err.Error()
		c.tell(e)
		return
	}
	c.read(&e, res, method, resp, body)
	c.known[res.tag()] = resp.Header.Get("Etag")
	c.tell(e)
}

func (c *raceClient) ask(method string, res raceResource, header ...string) (*http.Response, string, error) {
	r, err := http.NewRequest(method, c.url+"/x/"+res.key, nil)
	if err != nil {
		return nil, "", err
	}
	r.Host = res.host
	if res.lang != "" {
		r.Header.Set("Accept-Language", res.lang)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// read notes what a response says, and whether all of it is of one version.
func (c *raceClient) read(e *raceEvent, res raceResource, method string, resp *http.Response, body string) {
	head := resp.Header
	e.Status, e.Cache, e.Run = resp.StatusCode, strings.Join(head["Cache-Status"], ", "), head.Get("X-Run")
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
	default:
		return
	}
	e.Version, _ = strconv.ParseUint(head.Get("X-Version"), 10, 64)
	e.Made, _ = strconv.ParseInt(head.Get("X-Made"), 10, 64)
	res.version = e.Version
	whole := res.body()
	want := map[int]string{http.StatusOK: whole, http.StatusPartialContent: whole[10:100]}[resp.StatusCode]
	if method == http.MethodHead {
		want = ""
	}
	length := strconv.Itoa(len(whole))
	if resp.StatusCode == http.StatusPartialContent {
		length = "90"
	}
	switch {
	case body != want:
		e.Wrong = fmt.Sprintf("body %.60q, not %.60q", body, want)
	case res.key[0] != 'w' && head.Get("Etag") != res.tag():
		e.Wrong = fmt.Sprintf("tag %s of version %d", head.Get("Etag"), res.version)
	case resp.StatusCode != http.StatusNotModified && head.Get("Content-Length") != length:
		e.Wrong = fmt.Sprintf("length %q, not %s", head.Get("Content-Length"), length)
	}
}
