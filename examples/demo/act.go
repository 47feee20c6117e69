package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// concurrency is how many requests of the demo are under way at once.
const concurrency = 48

// act is one burst and what is promised about it.
type act struct {
	title    string
	dlm      bool
	method   string
	path     string // goes on with the id
	requests int
	perKey   int  // requests for one id
	kill     bool // a node dies when half of the requests are answered
	promises []promise
}

var acts = []act{
	{title: "pay one order", method: http.MethodPost, path: "/bare/pay/", requests: 100, perKey: 100},
	{title: "pay one order", dlm: true, method: http.MethodPost, path: "/pay/", requests: 100, perKey: 100,
		promises: []promise{allServed, neverTwoAtOnce, nothingLost}},
	{title: "pay it, or be refused", dlm: true, method: http.MethodPost, path: "/try/", requests: 100, perKey: 100,
		promises: []promise{servedOrRefused, neverTwoAtOnce, nothingLost}},
	{title: "report, or the last one", dlm: true, method: http.MethodGet, path: "/reports/", requests: 100, perKey: 100,
		promises: []promise{allServed, neverTwoAtOnce, nothingLost}},
	{title: "get 20 quotes", method: http.MethodGet, path: "/bare/quotes/", requests: 400, perKey: 20},
	{title: "get 20 quotes", dlm: true, method: http.MethodGet, path: "/quotes/", requests: 400, perKey: 20,
		promises: []promise{allServed, oneRunPerKey}},
	{title: "pay, a node dies", dlm: true, method: http.MethodPost, path: "/pay/", requests: 100, perKey: 100, kill: true,
		promises: []promise{allServed, neverTwoAtOnce, nothingLost}},
}

// id of the request with the index i, unlike those of all other acts and demos.
func (a act) id(number, i int) string {
	return fmt.Sprintf("%s-%d-%d", stamp, number, i/a.perKey)
}

var stamp = strconv.FormatInt(time.Now().UnixNano(), 36)

// play sends the burst of an act to the processes in turn and gathers what
// clients and witness saw. show is told how many were answered.
func (f *fleet) play(ctx context.Context, number int, a act, kill func() error, show func(n int)) (outcome, error) {
	before, err := f.waits(ctx)
	if err != nil {
		return outcome{}, err
	}
	f.witness.take()
	began := time.Now()
	b := &burst{
		requests: a.requests, atOnce: concurrency,
		send: func(i int) reply {
			url := f.processes[i%len(f.processes)].url + a.path + a.id(number, i)
			return f.request(ctx, a.method, url)
		},
		answered: func(n int) error {
			show(n)
			if a.kill && n == a.requests/2 {
				return kill()
			}
			return nil
		},
	}
	replies, err := b.run()
	if err != nil {
		return outcome{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return outcome{}, err
	}
	after, err := f.waits(ctx)
	if err != nil {
		return outcome{}, err
	}
	return outcome{act: a, took: time.Since(began), records: f.witness.take(), queued: after - before, replies: replies}, nil
}
