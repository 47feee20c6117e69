package telemetry

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"github.com/market-intel-brain/dlm/core/cache"
)

const fetchSpan = "dlm fetch"

// Fetch wraps what fills a cache in a span "dlm fetch" with the name of the
// cache. The span belongs to the request whose call fetches; a refresh in the
// background, or one after the request was answered, becomes a trace of its own,
// linked to the request's.
func Fetch[V any](o *Observer, name string, fetch func(context.Context) (V, error)) func(context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		options := append(parentage(ctx), trace.WithAttributes(cacheKey.String(name)))
		ctx, span := o.tracer.Start(ctx, fetchSpan, options...)
		defer span.End()
		v, err := fetch(ctx)
		if err != nil {
			o.fail(span, reasonOf(err), err)
		}
		return v, err
	}
}

// parentage makes a root with a link where the parent has ended, or is about to.
// A parent of another process, or one that is not sampled, does not record here
// at all and stays the parent, so that its decision about sampling is kept.
func parentage(ctx context.Context) []trace.SpanStartOption {
	parent := trace.SpanFromContext(ctx)
	sc := parent.SpanContext()
	switch {
	case !sc.IsSampled(), !cache.IsRefresh(ctx) && (sc.IsRemote() || parent.IsRecording()):
		return nil
	}
	return []trace.SpanStartOption{trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: sc})}
}

// OnFetch is a Guard's OnFetch that reports the handler's runs for the store as
// spans "dlm fetch" with name as the name of the cache, which handlers find in
// their context. The span of a refresh in the background is linked to that of
// the request which found the response stale; it is a child of what middleware
// outside the Guard begins for the refresh, and without such a root.
func (o *Observer) OnFetch(name string) func(ctx, cause context.Context) (context.Context, func(status int, err error)) {
	return func(ctx, cause context.Context) (context.Context, func(status int, err error)) {
		ctx, options := onBehalf(ctx, cause)
		ctx, span := o.tracer.Start(ctx, fetchSpan, append(options, trace.WithAttributes(cacheKey.String(name)))...)
		return ctx, func(status int, err error) {
			defer span.End()
			if status != 0 {
				span.SetAttributes(statusKey.Int(status))
			}
			switch {
			case err != nil:
				o.fail(span, reasonOf(err), err)
			case status >= http.StatusInternalServerError:
				o.fail(span, strconv.Itoa(status), nil)
			}
		}
	}
}

// onBehalf links what begins in ctx to the request of cause, and keeps that
// one's decision not to be sampled where ctx has none of its own.
func onBehalf(ctx, cause context.Context) (context.Context, []trace.SpanStartOption) {
	if cause == nil {
		return ctx, nil
	}
	request := trace.SpanContextFromContext(cause)
	switch {
	case !request.IsValid():
		return ctx, nil
	case !request.IsSampled() && !trace.SpanContextFromContext(ctx).IsValid():
		return trace.ContextWithSpanContext(ctx, request), nil
	}
	return ctx, []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: request})}
}
