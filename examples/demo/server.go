package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

// roleVariable is set in the environment of a server process.
const roleVariable = "DLM_DEMO_SERVER"

// patience is how long a request waits for its lock: longer than the demo, so
// that a busy machine refuses nobody.
const patience = limit

// prefix keeps the demo's keys apart from all others on nodes that are not its own.
const prefix = "dlm-demo"

// order is what the fleet tells a server process, as one line of JSON on its
// standard input. Passwords in URLs would be seen by others in its arguments.
type order struct {
	Framework string
	ID        string
	Nodes     []string
	Witness   string
}

// serve is a server process. It says its URL on out, and ends when in does:
// in ends with the fleet, whatever ends that.
func serve(in io.Reader, out io.Writer) (err error) {
	signal.Ignore(os.Interrupt) // goes to the whole terminal; the fleet decides
	lines := json.NewDecoder(in)
	var o order
	if err := lines.Decode(&o); err != nil {
		return err
	}
	s, err := newService(o)
	if err != nil {
		return err
	}
	defer closing(&err, s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handlers[o.Framework](s), ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	go func() {
		_, _ = io.Copy(io.Discard, in) // until its end
		_ = server.Close()
	}()
	if _, err := fmt.Fprintf(out, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// service is what the routes of all frameworks are made of.
type service struct {
	testimony
	waits waits
	locks *core.Manager
	debug http.Handler

	pay     *guard.Guard // one at a time; the others wait
	try     *guard.Guard // one at a time; the others are refused
	reports *guard.Guard // one at a time; the others get the last one's answer
	quotes  *guard.Guard // one for all
}

func newService(o order) (*service, error) {
	s := &service{testimony: testimony{o.Witness, o.ID, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	events := guard.NewEventLog(0)
	var err error
	s.locks, err = core.New(core.Config{
		Nodes: o.Nodes, Prefix: prefix, TTL: 10 * time.Second, Wait: patience,
		Observer: core.MultiObserver(&s.waits, events), Logger: log,
	})
	if err != nil {
		return nil, err
	}
	byID := keyfuncs.MustTemplate("<id>")
	for _, g := range []struct {
		to  **guard.Guard
		cfg guard.Config
	}{
		{&s.pay, guard.Config{Namespace: prefix + "-pay"}},
		{&s.try, guard.Config{Namespace: prefix + "-try", Wait: -1}},
		{&s.reports, guard.Config{Namespace: prefix + "-reports", Stale: time.Minute, Wait: patience}},
		{&s.quotes, guard.Config{Namespace: prefix + "-quotes", Fresh: time.Minute, Wait: patience}},
	} {
		g.cfg.Locks, g.cfg.Key, g.cfg.Logger = s.locks, byID, log
		g.cfg.IgnoreHost = true // the processes have one port each, and answer alike
		if *g.to, err = guard.New(g.cfg); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	s.debug = guard.DebugHandler(s.locks, guard.DebugEvents(events),
		guard.DebugCache("quotes", s.quotes.Stats, s.quotes.Usage), guard.DebugCache("reports", s.reports.Stats, s.reports.Usage))
	return s, nil
}

// Close ends the guards before the manager they lock with.
func (s *service) Close() error {
	var errs []error
	for _, g := range []*guard.Guard{s.pay, s.try, s.reports, s.quotes} {
		if g != nil {
			errs = append(errs, g.Close())
		}
	}
	s.client.CloseIdleConnections()
	return errors.Join(append(errs, s.locks.Close())...)
}

// waits counts the requests that queued for a lock.
type waits struct{ atomic.Int64 }

// Observe implements core.Observer.
func (w *waits) Observe(_ context.Context, e core.Event) {
	if e.Kind == core.EventWaiting {
		w.Add(1)
	}
}
