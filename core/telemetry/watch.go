package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

// WatchManager reports m's gauges and its nodes whenever the metrics are read.
// Each reading asks every node for its health, which takes m's NodeTimeout at
// most. Call stop before m is closed.
func (o *Observer) WatchManager(m *core.Manager) (stop func() error, err error) {
	p := &o.polled
	return o.watch("Manager", func(ctx context.Context, to metric.Observer) error {
		s := m.Stats()
		to.ObserveInt64(p.held, int64(s.Held))
		to.ObserveInt64(p.waiting, int64(s.Waiting))
		to.ObserveInt64(p.quorum, int64(s.Quorum))
		for _, n := range s.Nodes {
			at := metric.WithAttributes(serverOf(n.Node)...)
			to.ObserveInt64(p.commands, int64(n.Commands), at) //nolint:gosec // a count
			to.ObserveInt64(p.trouble, int64(n.Errors), at)    //nolint:gosec // a count
		}
		return p.health(ctx, m, to)
	}, p.held, p.waiting, p.quorum, p.voting, p.ping, p.commands, p.trouble)
}

// health is no failure of the reading when it is bad.
func (p *polled) health(ctx context.Context, m *core.Manager, to metric.Observer) error {
	h, err := m.Health(ctx)
	if errors.Is(err, core.ErrClosed) {
		return err
	}
	for _, n := range h.Nodes {
		at := metric.WithAttributes(serverOf(n.Node)...)
		if !n.Voting {
			to.ObserveInt64(p.voting, 0, at)
			continue
		}
		to.ObserveInt64(p.voting, 1, at)
		to.ObserveFloat64(p.ping, n.Latency.Seconds(), at)
	}
	return nil
}

// WatchCache reports a cache's counters as name whenever the metrics are read.
// stats is the Stats method of a [cache.Cache] or of a guard.Guard.
func (o *Observer) WatchCache(name string, stats func() cache.Stats) (stop func() error, err error) {
	p := &o.polled
	return o.watch("cache "+name, func(_ context.Context, to metric.Observer) error {
		s := stats()
		count := func(c metric.Int64ObservableCounter, v uint64, attrs ...attribute.KeyValue) {
			to.ObserveInt64(c, int64(v), metric.WithAttributes(append(attrs, cacheKey.String(name))...)) //nolint:gosec // a count
		}
		for _, r := range []struct {
			result string
			n      uint64
		}{{"hit", s.Hits}, {"stale", s.Stale}, {"negative", s.Negative}, {"collapsed", s.Shared}, {"refused", s.Refused}} {
			count(p.requests, r.n, resultKey.String(r.result))
		}
		failed := s.FetchErrors + s.Panics
		count(p.fetches, s.Fetches-min(failed, s.Fetches))
		count(p.fetches, failed, errorKey.String(otherReason))
		count(p.refreshes, s.Refreshes, resultKey.String("begun"))
		count(p.refreshes, s.Dropped, resultKey.String("dropped"))
		count(p.discarded, s.Fenced, discardKey.String("fenced"))
		count(p.discarded, s.Unguarded, discardKey.String("unguarded"))
		count(p.discarded, s.Unstorable, discardKey.String("unstorable"))
		count(p.failures, s.StoreErrors, failureKey.String("store"))
		count(p.failures, s.LockErrors, failureKey.String("lock"))
		count(p.failures, s.Corrupt, failureKey.String("corrupt"))
		to.ObserveInt64(p.active, int64(s.InFlight), metric.WithAttributes(cacheKey.String(name)))
		return nil
	}, p.requests, p.fetches, p.refreshes, p.discarded, p.failures, p.active)
}

// WatchMemory reports how full a cache's memory is, as name, whenever the
// metrics are read. usage is the Usage method of a [cache.Memory] or of a
// guard.Guard.
func (o *Observer) WatchMemory(name string, usage func() cache.Usage) (stop func() error, err error) {
	p := &o.polled
	at := metric.WithAttributes(cacheKey.String(name))
	return o.watch("memory "+name, func(_ context.Context, to metric.Observer) error {
		u := usage()
		to.ObserveInt64(p.bytes, int64(u.Bytes), at) //nolint:gosec // bytes of memory
		to.ObserveInt64(p.limit, int64(u.Limit), at) //nolint:gosec // bytes of memory
		to.ObserveInt64(p.entries, int64(u.Entries), at)
		return nil
	}, p.bytes, p.limit, p.entries)
}

func (o *Observer) watch(what string, read metric.Callback, instruments ...metric.Observable) (func() error, error) {
	r, err := o.polled.meter.RegisterCallback(read, instruments...)
	if err != nil {
		return nil, fmt.Errorf("dlm/telemetry: watch %s: %w", what, err)
	}
	return r.Unregister, nil
}
