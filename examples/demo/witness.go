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

	entered func() // if not nil, called as a handler begins

	mu      sync.Mutex
	records map[string]*record // by key. Guarded by mu
}

// record is what the witness saw of one key.
type record struct {
	runs    int // begun
	now     int // under way
	most    int // under way at once
	balance int // what a handler read, and one more, for each that ended well
}

func startWitness() (*witness, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &witness{url: "http://" + listener.Addr().String(), records: map[string]*record{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /enter", w.enter)
	mux.HandleFunc("POST /leave", w.leave)
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(listener) }() // until Close
	return w, nil
}

func (w *witness) Close() error { return w.server.Close() }

func (w *witness) enter(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := r.FormValue("key")
	rec := w.records[key]
	if rec == nil {
		rec = &record{}
		w.records[key] = rec
	}
	rec.runs++
	rec.now++
	rec.most = max(rec.most, rec.now)
	if w.entered != nil {
		w.entered()
	}
	_, _ = fmt.Fprint(rw, rec.balance)
}

func (w *witness) leave(_ http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rec := w.records[r.FormValue("key")]
	rec.now--
	if balance, err := strconv.Atoi(r.FormValue("balance")); err == nil {
		rec.balance = balance
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
	text, err := t.post("/enter", url.Values{"key": {key}})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func (t *testimony) leave(key, balance string) error {
	_, err := t.post("/leave", url.Values{"key": {key}, "balance": {balance}})
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
