package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/market-intel-brain/dlm/core"
)

// Observer is a [core.Observer] that reports to OpenTelemetry. It is safe for
// concurrent use. Its figures do not tell Managers apart: a process with
// several of them gives each an Observer with a MeterProvider, or a reader, of
// its own.
type Observer struct {
	cfg    Config
	tracer trace.Tracer
	events events
	polled polled
	sets   sets
}

// New makes the instruments. It fails when the MeterProvider refuses one.
func New(cfg Config) (*Observer, error) {
	cfg = cfg.withDefaults()
	o := &Observer{cfg: cfg, tracer: cfg.Tracers.Tracer(scope), sets: newSets()}
	m := &maker{meter: cfg.Meters.Meter(scope)}
	o.events, o.polled = newEvents(m), newPolled(m)
	if err := errors.Join(m.errs...); err != nil {
		return nil, fmt.Errorf("dlm/telemetry: %w", err)
	}
	return o, nil
}

// Observe implements [core.Observer].
func (o *Observer) Observe(ctx context.Context, e core.Event) {
	switch e.Kind {
	case core.EventAcquired, core.EventHandedOver:
		o.acquired(ctx, e)
	case core.EventRefused:
		o.refused(ctx, e)
	case core.EventReleased:
		o.released(ctx, e)
	case core.EventLost:
		o.lost(ctx, e)
	case core.EventWaiting:
		o.events.waited.Add(ctx, 1, o.plain(e.Key).add...)
	case core.EventRenewed:
		o.events.renewed.Add(ctx, 1, o.plain(e.Key).add...)
	case core.EventNodeUp, core.EventNodeDown:
		o.events.transitions.Add(ctx, 1, nodeState(e).add...)
	}
}

func (o *Observer) acquired(ctx context.Context, e core.Event) {
	source := "redis"
	if e.Kind == core.EventHandedOver {
		source = "handover"
	}
	o.events.acquired.Add(ctx, 1, o.with(e.Key, sourceKey, source).add...)
	o.events.wait.Record(ctx, e.Duration.Seconds(), o.plain(e.Key).record...)
	o.span(ctx, "dlm acquire", e, "")
}

func (o *Observer) refused(ctx context.Context, e core.Event) {
	reason := reasonOf(e.Err)
	set := o.with(e.Key, errorKey, reason)
	o.events.refused.Add(ctx, 1, set.add...)
	o.events.wait.Record(ctx, e.Duration.Seconds(), set.record...)
	o.span(ctx, "dlm acquire", e, reason)
}

// released ends the hold, unless the lock's loss has ended it.
func (o *Observer) released(ctx context.Context, e core.Event) {
	set, reason := o.plain(e.Key), ""
	if e.Err != nil {
		reason = reasonOf(e.Err)
		set = o.with(e.Key, errorKey, reason)
	}
	o.events.released.Add(ctx, 1, set.add...)
	if errors.Is(e.Err, core.ErrExpired) && context.Cause(ctx) == core.ErrLost { //nolint:errorlint // set by core as it is
		return
	}
	o.events.hold.Record(ctx, e.Duration.Seconds(), set.record...)
	o.span(ctx, "dlm hold", e, reason)
}

func (o *Observer) lost(ctx context.Context, e core.Event) {
	reason := reasonOf(e.Err)
	o.events.lost.Add(ctx, 1, o.plain(e.Key).add...)
	o.events.hold.Record(ctx, e.Duration.Seconds(), o.with(e.Key, errorKey, reason).record...)
	o.span(ctx, "dlm hold", e, reason)
}
