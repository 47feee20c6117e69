package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// Fetch wraps what fills a cache in a span "dlm fetch" with the name of the
// cache. The span belongs to the request whose call fetches; a refresh that goes
// on after its request was answered becomes a trace of its own, linked to the
// request's.
func Fetch[V any](o *Observer, cache string, fetch func(context.Context) (V, error)) func(context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		options := append(parentage(ctx), trace.WithAttributes(cacheKey.String(cache)))
		ctx, span := o.tracer.Start(ctx, "dlm fetch", options...)
		defer span.End()
		v, err := fetch(ctx)
		if err != nil {
			o.fail(span, reasonOf(err), err)
		}
		return v, err
	}
}

// parentage makes a root with a link where the parent has ended. A parent of
// another process, or one that is not sampled, does not record here at all and
// stays the parent, so that its decision about sampling is kept.
func parentage(ctx context.Context) []trace.SpanStartOption {
	parent := trace.SpanFromContext(ctx)
	sc := parent.SpanContext()
	if parent.IsRecording() || sc.IsRemote() || !sc.IsSampled() {
		return nil
	}
	return []trace.SpanStartOption{trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: sc})}
}
