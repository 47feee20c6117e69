//go:build unix

package guard_test

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/market-intel-brain/dlm/core"
)

// What the racers ask for. The first letter of a key says how its responses are to
// be kept, the last one which group they are tagged with.
//
//	s  by the Guard's own Fresh and Stale
//	l  fresh for an hour: nothing but a purge ends it
//	v  as s, a variant for each language
//	e  as s, and the handler fails now and then
//	w  as s, without a validator
var (
	raceKeys  = []string{"s0", "s1", "l0", "l1", "l2", "v0", "e1", "w0"}
	raceHosts = []string{"a.test", "b.test"}
	raceLangs = []string{"de", "fr"}
)

const (
	raceFresh = 150 * time.Millisecond
	raceStale = 250 * time.Millisecond
	raceWork  = 12 * time.Millisecond // what a run takes at most
	raceSlow  = 250 * time.Millisecond
)

func raceGroup(key string) string { return "group" + key[len(key)-1:] }

// machineTime is the machine's monotonic clock, which its processes share.
func machineTime() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano()
}

// raceOrigin is what the handlers of all processes answer from: a version for each
// key, which begins at 1 and only grows, in memory that the processes share.
type raceOrigin struct{ versions []atomic.Uint64 }

const raceOriginSize = 4096

func openRaceOrigin(path string) (*raceOrigin, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if err := file.Truncate(raceOriginSize); err != nil {
		return nil, err
	}
	shared, err := unix.Mmap(int(file.Fd()), 0, raceOriginSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	o := &raceOrigin{unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&shared[0])), raceOriginSize/8)}
	for i := range o.versions {
		o.versions[i].CompareAndSwap(0, 1)
	}
	return o, nil
}

func (o *raceOrigin) version(key string) *atomic.Uint64 {
	for i, k := range raceKeys {
		if k == key {
			return &o.versions[i]
		}
	}
	return &o.versions[len(raceKeys)]
}

// raceResource is one thing that the origin has, in one version.
type raceResource struct {
	key, host, lang string
	version         uint64
}

func (r raceResource) tag() string {
	return fmt.Sprintf(`"%s-%s-%s-%d"`, r.key, r.host, r.lang, r.version)
}

// body is unlike every other resource's, and every other version's, in its length
// and all along.
func (r raceResource) body() string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.tag())
	random := rand.New(rand.NewPCG(h.Sum64(), 1)) //nolint:gosec // to be made again
	b := []byte(r.tag() + "\n")
	for range 200 + random.IntN(1200) {
		b = append(b, byte('a'+random.IntN(26)))
	}
	return string(b)
}

// raceHandler is the guarded handler of one process.
type raceHandler struct {
	origin *raceOrigin
	tell   func(raceEvent)
	runs   atomic.Int64
	slow   atomic.Bool // the next run is
}

func (h *raceHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("id")
	if r.Method == http.MethodPost {
		w.Header().Set("X-Version", strconv.FormatUint(h.origin.version(key).Add(1), 10))
		return
	}
	run := raceEvent{What: "run", Key: key, Began: machineTime(), Run: fmt.Sprint(os.Getpid(), "-", h.runs.Add(1))}
	lock, locked := core.FromContext(r.Context())
	over := func() bool { return r.Context().Err() != nil || locked && !time.Now().Before(lock.Until()) }
	switch {
	case locked && !over(): // or it was lost on the way here, as its context says
		run.Lock = lock.Key()
	case !locked && r.Method == http.MethodGet && r.Header.Get("Range") == "":
		run.Wrong = "no lock"
	}
	res := raceResource{key: key, host: r.Host, version: h.origin.version(key).Load()}
	if key[0] == 'v' {
		res.lang = r.Header.Get("Accept-Language")
	}
	h.work(r)
	run.End, run.Version = machineTime(), res.version
	run.Lost = over()
	h.tell(run)
	h.answer(w, r, res, run)
}

// work takes its time after it has read what it answers.
func (h *raceHandler) work(r *http.Request) {
	length := rand.N(raceWork)
	if _, locked := core.FromContext(r.Context()); locked && h.slow.CompareAndSwap(true, false) {
		h.tell(raceEvent{What: "slow"})
		length = raceSlow
	}
	select {
	case <-time.After(length):
	case <-r.Context().Done():
	}
}

func (h *raceHandler) answer(w http.ResponseWriter, r *http.Request, res raceResource, run raceEvent) {
	head := w.Header()
	head.Set("X-Made", strconv.FormatInt(machineTime(), 10))
	head.Set("X-Run", run.Run)
	head.Set("X-Version", strconv.FormatUint(res.version, 10))
	head.Set("Cache-Tag", raceGroup(res.key))
	switch res.key[0] {
	case 'l':
		head.Set("Cache-Control", "max-age=3600")
	case 'v':
		head.Set("Vary", "Accept-Language")
	case 'e':
		if rand.IntN(3) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	if res.key[0] != 'w' {
		head.Set("ETag", res.tag())
		if r.Header.Get("If-None-Match") == res.tag() {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = io.WriteString(w, res.body())
}
