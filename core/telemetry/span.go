package telemetry

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/market-intel-brain/dlm/core"
)

// maxKey bounds what a key can add to a span.
const maxKey = 256

// span reports what took e.Duration and is over.
func (o *Observer) span(ctx context.Context, name string, e core.Event, reason string) {
	_, span := o.tracer.Start(ctx, name, trace.WithTimestamp(e.Time.Add(-e.Duration)))
	if span.IsRecording() {
		span.SetAttributes(o.describe(e)...)
		o.fail(span, reason, e.Err)
	}
	span.End(trace.WithTimestamp(e.Time))
}

func (o *Observer) describe(e core.Event) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	if !o.cfg.HideKeys {
		attrs = append(attrs, lockKey.String(printable(e.Key)))
	}
	if group := o.group(e.Key); group != "" {
		attrs = append(attrs, groupKey.String(group))
	}
	if e.FencingToken != 0 {
		attrs = append(attrs, tokenKey.Int64(int64(e.FencingToken))) //nolint:gosec // counters of Redis, signed themselves
	}
	if e.Kind == core.EventHandedOver {
		attrs = append(attrs, sourceKey.String("handover"))
	}
	return attrs
}

// fail gives a span that ended badly its status.
func (o *Observer) fail(span trace.Span, reason string, err error) {
	if reason == "" {
		return
	}
	text := reason
	if !o.cfg.HideKeys && err != nil {
		text = strings.ToValidUTF8(err.Error(), "\uFFFD")
	}
	span.SetAttributes(errorKey.String(reason))
	span.SetStatus(codes.Error, text)
}

// printable is a key as an attribute can carry it: exporters want UTF-8.
func printable(key string) string {
	if len(key) > maxKey {
		key = key[:maxKey] + "…"
	}
	return strings.ToValidUTF8(key, "\uFFFD")
}
