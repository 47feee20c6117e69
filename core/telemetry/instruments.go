package telemetry

import (
	"go.opentelemetry.io/otel/metric"
)

// maker makes instruments and keeps what went wrong.
type maker struct {
	meter metric.Meter
	errs  []error
}

func made[T any](m *maker) func(T, error) T {
	return func(instrument T, err error) T {
		if err != nil {
			m.errs = append(m.errs, err)
		}
		return instrument
	}
}

// events are the instruments that core's events move.
type events struct {
	wait, hold metric.Float64Histogram

	acquired, refused, waited, renewed, released, lost, transitions metric.Int64Counter
}

// A lock is granted in fractions of a millisecond and waited for until Wait is
// over; it is held for a statement or for a night's job.
var (
	waitBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	holdBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
)

func newEvents(m *maker) events {
	seconds := func(name, what string, buckets []float64) metric.Float64Histogram {
		return made[metric.Float64Histogram](m)(m.meter.Float64Histogram(name, metric.WithUnit("s"),
			metric.WithDescription(what), metric.WithExplicitBucketBoundaries(buckets...)))
	}
	count := func(name, unit, what string) metric.Int64Counter {
		return made[metric.Int64Counter](m)(m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what)))
	}
	return events{
		wait:        seconds("dlm.lock.wait.duration", "Time from the call to the lock or the refusal.", waitBuckets),
		hold:        seconds("dlm.lock.hold.duration", "Time from the grant to the release or the loss.", holdBuckets),
		acquired:    count("dlm.lock.acquired", "{lock}", "Locks granted."),
		refused:     count("dlm.lock.refused", "{request}", "Acquisitions that ended without the lock."),
		waited:      count("dlm.lock.waited", "{request}", "Acquisitions that did not get the lock at once."),
		renewed:     count("dlm.lock.renewed", "{lock}", "Leases set anew by Extend and Renew."),
		released:    count("dlm.lock.released", "{lock}", "Locks released."),
		lost:        count("dlm.lock.lost", "{lock}", "Held locks that could no longer be relied upon."),
		transitions: count("dlm.node.transitions", "{transition}", "Times a node began or ceased to answer or to vote."),
	}
}

// polled are the instruments that are asked for their values.
type polled struct {
	meter metric.Meter

	held, waiting     metric.Int64ObservableUpDownCounter
	quorum, voting    metric.Int64ObservableGauge
	ping              metric.Float64ObservableGauge
	commands, trouble metric.Int64ObservableCounter

	requests, fetches, refreshes, discarded, failures metric.Int64ObservableCounter
	active, bytes, limit, entries                     metric.Int64ObservableUpDownCounter
}

func newPolled(m *maker) polled {
	total := func(name, unit, what string) metric.Int64ObservableCounter {
		return made[metric.Int64ObservableCounter](m)(m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(what)))
	}
	level := func(name, unit, what string) metric.Int64ObservableUpDownCounter {
		return made[metric.Int64ObservableUpDownCounter](m)(m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(what)))
	}
	gauge := func(name, unit, what string) metric.Int64ObservableGauge {
		return made[metric.Int64ObservableGauge](m)(m.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what)))
	}
	return polled{
		meter:   m.meter,
		held:    level("dlm.lock.held", "{lock}", "Locks held now."),
		waiting: level("dlm.lock.waiting", "{request}", "Callers queued now."),
		quorum:  gauge("dlm.quorum", "{node}", "Nodes that must agree."),
		voting:  gauge("dlm.node.voting", "{vote}", "1 while the node answers and its answers count, otherwise 0."),
		ping: made[metric.Float64ObservableGauge](m)(m.meter.Float64ObservableGauge("dlm.node.ping.duration",
			metric.WithUnit("s"), metric.WithDescription("Time of one PING."))),
		commands: total("dlm.node.commands", "{command}", "Commands that the node answered."),
		trouble:  total("dlm.node.errors", "{error}", "Commands that failed, timed out or were not sent."),

		requests:  total("dlm.cache.requests", "{request}", "Requests answered without a fetch of their own, or refused."),
		fetches:   total("dlm.cache.fetches", "{fetch}", "Values made."),
		refreshes: total("dlm.cache.refreshes", "{refresh}", "Background refreshes begun, and dropped for want of room."),
		discarded: total("dlm.cache.discarded", "{value}", "Values made and not stored."),
		failures:  total("dlm.cache.errors", "{error}", "Failures of the store and of the locks, and entries that could not be read."),
		active:    level("dlm.cache.fetches.active", "{fetch}", "Keys being looked up or fetched now."),
		bytes:     level("dlm.cache.memory.usage", "By", "Memory taken by entries."),
		limit:     level("dlm.cache.memory.limit", "By", "Memory that entries may take."),
		entries:   level("dlm.cache.memory.entries", "{entry}", "Entries in memory."),
	}
}
