package guardtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

// bounds is about the shortest waits, leases and holds there are.
var bounds = []behaviour{
	{name: "without a wait a request gets the lock that is free", test: freeWithoutWait, at: wrap},
	{name: "without a wait a request is refused whose key is taken", test: takenWithoutWait, at: wrap},
	{name: "a handler longer than its lease keeps its lock", test: longerThanLease, at: wrap},
	{name: "a hold shorter than its lease ends with the lease", test: holdShorterThanLease, at: wrap},
	{name: "a lease too short to be relied upon is a mistake in the configuration", test: leaseTooShort, at: wrap},
}

// modes are those of doc.go.
func modes(edit func(*guard.Config)) map[string]guard.Config {
	configs := map[string]guard.Config{"serialized": {}, "serialized, stale": {Stale: time.Hour}, "cached": {Fresh: time.Hour}}
	for name, cfg := range configs {
		cfg.Namespace = name
		edit(&cfg)
		configs[name] = cfg
	}
	return configs
}

// freeWithoutWait asks again where a busy machine was too slow for the one round
// there is.
func freeWithoutWait(e *env) {
	for _, wait := range []time.Duration{-1, 1} {
		for name, cfg := range modes(func(cfg *guard.Config) { cfg.Wait = wait }) {
			cfg.Namespace += wait.String()
			s := e.serve(route(e.guard(cfg), write("hello")))
			require.Eventually(s, func() bool { return s.get("/x/1").body == "hello" }, patience, time.Millisecond, "%s, %v", name, wait)
		}
	}
}

func takenWithoutWait(e *env) {
	for name, cfg := range modes(func(cfg *guard.Config) { cfg.Wait = -1 }) {
		g := newGate()
		s := e.serve(route(e.guard(cfg), g.ServeHTTP))
		holder := s.goGetUntilQueued(context.Background(), "/x/1")
		receive(e, g.entered, "the holder")
		a := s.status(http.StatusServiceUnavailable, s.get("/x/1"))
		require.NotEmpty(s, a.Header.Get("Retry-After"), name)
		close(g.leave)
		s.ok(receive(e, holder, "the holder's answer"))
	}
}

// longerThanLease takes a longer lease where a busy machine did not get around to
// renew a short one.
func longerThanLease(e *env) {
	for name, cfg := range modes(func(cfg *guard.Config) { cfg.Wait, cfg.MaxHold = patience, time.Hour }) {
		kept := func(ttl time.Duration) bool {
			cfg := cfg
			cfg.TTL, cfg.Namespace = ttl, name+ttl.String()
			s := e.serve(route(e.guard(cfg), func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, outlasting(r, ttl)) }))
			a := s.get("/x/1")
			lost := a.err == nil && a.StatusCode == http.StatusServiceUnavailable // before the handler ran
			return !lost && s.ok(a).body == "kept"
		}
		ttl := 50 * time.Millisecond
		for ; ttl < patience && !kept(ttl); ttl *= 2 {
		}
		require.Less(e, ttl, patience, name)
	}
}

// outlasting returns when the lock of r has been held for two leases, or is lost.
func outlasting(r *http.Request, ttl time.Duration) string {
	lock, locked := core.FromContext(r.Context())
	if !locked {
		return "no lock"
	}
	timer := time.NewTimer(2 * ttl)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return "lost"
	case <-timer.C:
	}
	if !time.Now().Before(lock.Until()) {
		return "over"
	}
	return "kept"
}

func holdShorterThanLease(e *env) {
	// A grant may take long on a busy machine, and must leave something of the lease.
	for name, cfg := range modes(func(cfg *guard.Config) { cfg.TTL, cfg.MaxHold = time.Second, time.Nanosecond }) {
		cause := make(chan error, 1)
		s := e.serve(route(e.guard(cfg), func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			cause <- context.Cause(r.Context())
		}))
		s.ok(s.get("/x/1"))
		require.ErrorIs(s, receive(e, cause, "the end of the context"), core.ErrLost, name)
	}
}

func leaseTooShort(e *env) {
	for name, cfg := range modes(func(cfg *guard.Config) { cfg.TTL = 2 * time.Millisecond }) {
		cfg.Locks, cfg.Key = e.locks, byID
		_, err := guard.New(cfg)
		require.True(e, errors.Is(err, core.ErrInvalid), name)
		require.ErrorContains(e, err, "TTL: ")
	}
}
