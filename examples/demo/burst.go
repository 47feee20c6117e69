package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunglas/httpsfv"
)

// reply is what became of one request.
type reply struct {
	status     int
	err        error
	took       time.Duration
	retryAfter bool
	cached     kind
}

// kind is how the cache took part in an answer.
type kind uint8

const (
	ran    kind = iota // made by the request's own handler
	hit                // stored, fresh
	stale              // stored, no longer fresh
	shared             // made by the handler of another request, waited for
)

// request sends one request and times it.
func (f *fleet) request(ctx context.Context, method, url string) reply {
	began := time.Now()
	_, resp, err := f.do(ctx, method, url)
	r := reply{err: err, took: time.Since(began)}
	if err != nil {
		return r
	}
	r.status = resp.StatusCode
	r.retryAfter = resp.Header.Get("Retry-After") != ""
	r.cached = kindOf(resp.Header)
	return r
}

// kindOf reads Cache-Status (RFC 9211).
func kindOf(h http.Header) kind {
	list, err := httpsfv.UnmarshalList(h.Values("Cache-Status"))
	if err != nil || len(list) == 0 {
		return ran
	}
	item, ok := list[len(list)-1].(httpsfv.Item)
	if !ok {
		return ran
	}
	is := func(name string) bool { v, _ := item.Params.Get(name); b, ok := v.(bool); return ok && b }
	ttl, _ := item.Params.Get("ttl")
	left, _ := ttl.(int64)
	switch {
	case is("hit") && left < 0:
		return stale
	case is("hit"):
		return hit
	case is("collapsed"):
		return shared
	}
	return ran
}

// burst sends requests, so many of them at once.
type burst struct {
	requests int
	atOnce   int
	send     func(i int) reply
	answered func(n int) error // after the n-th answer, one call at a time
}

func (b *burst) run() ([]reply, error) {
	var (
		next    atomic.Int64
		workers sync.WaitGroup
		mu      sync.Mutex
		n       int   // guarded by mu
		failed  error // guarded by mu
	)
	replies := make([]reply, b.requests)
	for range min(b.atOnce, b.requests) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.requests; i = int(next.Add(1)) - 1 {
				replies[i] = b.send(i)
				mu.Lock()
				n++
				if err := b.answered(n); err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return replies, failed
}
