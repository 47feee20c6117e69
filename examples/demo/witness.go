package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// witness sees every run of a handler in every process begin and end, and keeps
// the accounts that the handlers work on.
type witness struct {
	server *http.Server
	url    string

	mu      sync.Mutex
	saw     func(sighting)     // guarded by mu; nil, or told of all there is to see
	records map[string]*record // by key. Guarded by mu
	dead    map[string]bool    // processes that were killed. Guarded by mu
}

// sighting is the begin or the end of a run.
type sighting struct {
	key, by   string
	began     bool
	overlaps  bool // it begins beside another one of the key
	overwrote bool // it ends, and what another one wrote is lost
}

// record is what the witness saw of one key.
type record struct {
	runs    int            // begun
	now     map[string]int // under way, by process
	most    int            // under way at once
	balance int            // what a handler read, and one more, for each that ended well
}

func (rec *record) underWay() (n int) {
	for _, runs := range rec.now {
		n += runs
	}
	return n
}

func startWitness() (*witness, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &witness{url: "http://" + listener.Addr().String(), records: map[string]*record{}, dead: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /enter", w.enter)
	mux.HandleFunc("POST /leave", w.leave)
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(listener) }() // until Close
	return w, nil
}

// watch has saw told of every run, one call at a time, from now on.
func (w *witness) watch(saw func(sighting)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = saw
}

func (w *witness) Close() error { return w.server.Close() }

func (w *witness) enter(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key, by := r.FormValue("key"), r.FormValue("by")
	if w.dead[by] { // its last words
		return
	}
	rec := w.records[key]
	if rec == nil {
		rec = &record{now: map[string]int{}}
		w.records[key] = rec
	}
	rec.runs++
	rec.now[by]++
	rec.most = max(rec.most, rec.underWay())
	w.tell(sighting{key: key, by: by, began: true, overlaps: rec.underWay() > 1})
	_, _ = fmt.Fprint(rw, rec.balance)
}

func (w *witness) leave(_ http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key, by := r.FormValue("key"), r.FormValue("by")
	rec := w.records[key]
	if rec == nil || w.dead[by] {
		return
	}
	rec.now[by]--
	balance, err := strconv.Atoi(r.FormValue("balance"))
	w.tell(sighting{key: key, by: by, overwrote: err == nil && balance <= rec.balance})
	if err == nil {
		rec.balance = balance
	}
}

// tell is called with mu held.
func (w *witness) tell(s sighting) {
	if w.saw != nil {
		w.saw(s)
	}
}

// bury ends the runs of a process that was killed.
func (w *witness) bury(process string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[process] = true
	for _, rec := range w.records {
		delete(rec.now, process)
	}
}

// take gives the records of the keys seen since the last call.
func (w *witness) take() map[string]*record {
	w.mu.Lock()
	defer w.mu.Unlock()
	records := w.records
	w.records = map[string]*record{}
	return records
}

// testimony is a handler's end of the witness.
type testimony struct {
	url    string
	by     string // the process
	client *http.Client
}

// work is what every handler of the demo does: it reads the key's balance,
// takes its time, and writes one more. Two at once lose one.
func (t *testimony) work(ctx context.Context, key string, d time.Duration) (balance int, err error) {
	if balance, err = t.enter(key); err != nil {
		return 0, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // the lock is lost: nothing may be written any more
		return 0, errors.Join(context.Cause(ctx), t.leave(key, ""))
	}
	balance++
	return balance, t.leave(key, strconv.Itoa(balance))
}

func (t *testimony) enter(key string) (balance int, err error) {
	text, err := t.post("/enter", url.Values{"key": {key}, "by": {t.by}})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func (t *testimony) leave(key, balance string) error {
	_, err := t.post("/leave", url.Values{"key": {key}, "by": {t.by}, "balance": {balance}})
	return err
}

func (t *testimony) post(path string, form url.Values) (string, error) {
	resp, err := t.client.PostForm(t.url+path, form)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("witness: %s", resp.Status)
	}
	return string(text), err
}
