package telemetry

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config says where to report. Its zero value reports to the global providers.
type Config struct {
	// Meters makes the instruments. Default otel.GetMeterProvider().
	Meters metric.MeterProvider
	// Tracers makes the spans. Default otel.GetTracerProvider().
	Tracers trace.TracerProvider
	// Group sorts keys into groups, which become the attribute dlm.lock.group of
	// the lock metrics; "" leaves it out. It must return few different groups, as
	// each makes series of its own, and must be fast and safe for concurrent use.
	// Default none.
	Group func(key string) string
	// HideKeys keeps keys and error texts, which quote keys, out of spans, for
	// keys that say who somebody is.
	HideKeys bool
}

// scope names the instrumentation: the import path of this package.
const scope = "github.com/market-intel-brain/dlm/core/telemetry"

func (c Config) withDefaults() Config {
	if c.Meters == nil {
		c.Meters = otel.GetMeterProvider()
	}
	if c.Tracers == nil {
		c.Tracers = otel.GetTracerProvider()
	}
	return c
}
