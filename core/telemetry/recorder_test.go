package telemetry_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// meters keeps what instruments are given, by name and attributes. The API's
// no-op types stand in for what these tests do not use.
type meters struct {
	metricnoop.MeterProvider
	mu        sync.Mutex
	units     map[string]string    // guarded by mu
	values    map[string][]float64 // guarded by mu
	callbacks []metric.Callback    // guarded by mu
	refuse    string               // name of an instrument that is not made
}

func newMeters() *meters {
	return &meters{units: map[string]string{}, values: map[string][]float64{}}
}

func (m *meters) Meter(string, ...metric.MeterOption) metric.Meter { return &meter{all: m} }

func (m *meters) note(name string, v float64, set attribute.Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if text := set.Encoded(attribute.DefaultEncoder()); text != "" {
		name += " " + text
	}
	m.values[name] = append(m.values[name], v)
}

func (m *meters) made(name, unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name == m.refuse {
		return fmt.Errorf("%s refused", name)
	}
	m.units[name] = unit
	return nil
}

// sum adds up what an instrument got.
func (m *meters) sum(series string) (total float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.values[series] {
		total += v
	}
	return total
}

func (m *meters) series() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.values {
		names = append(names, name)
	}
	return names
}

// collect reads the observable instruments anew.
func (m *meters) collect(ctx context.Context) (err error) {
	m.mu.Lock()
	callbacks := m.callbacks
	m.values = map[string][]float64{}
	m.mu.Unlock()
	for _, read := range callbacks {
		if read != nil {
			err = read(ctx, reading{all: m})
		}
	}
	return err
}

type meter struct {
	metricnoop.Meter
	all *meters
}

type counter struct {
	metricnoop.Int64Counter
	all  *meters
	name string
}

func (c counter) Add(_ context.Context, v int64, opts ...metric.AddOption) {
	c.all.note(c.name, float64(v), metric.NewAddConfig(opts).Attributes())
}

type histogram struct {
	metricnoop.Float64Histogram
	all  *meters
	name string
}

func (h histogram) Record(_ context.Context, v float64, opts ...metric.RecordOption) {
	h.all.note(h.name, v, metric.NewRecordConfig(opts).Attributes())
}

type (
	observedCounter struct {
		metricnoop.Int64ObservableCounter
		name string
	}
	observedLevel struct {
		metricnoop.Int64ObservableUpDownCounter
		name string
	}
	observedGauge struct {
		metricnoop.Int64ObservableGauge
		name string
	}
	observedSeconds struct {
		metricnoop.Float64ObservableGauge
		name string
	}
)

func (o observedCounter) String() string { return o.name }
func (o observedLevel) String() string   { return o.name }
func (o observedGauge) String() string   { return o.name }
func (o observedSeconds) String() string { return o.name }

func (m *meter) Int64Counter(name string, opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{all: m.all, name: name}, m.all.made(name, metric.NewInt64CounterConfig(opts...).Unit())
}

func (m *meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return histogram{all: m.all, name: name}, m.all.made(name, metric.NewFloat64HistogramConfig(opts...).Unit())
}

func (m *meter) Int64ObservableCounter(name string, opts ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return observedCounter{name: name}, m.all.made(name, metric.NewInt64ObservableCounterConfig(opts...).Unit())
}

func (m *meter) Int64ObservableUpDownCounter(name string, opts ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return observedLevel{name: name}, m.all.made(name, metric.NewInt64ObservableUpDownCounterConfig(opts...).Unit())
}

func (m *meter) Int64ObservableGauge(name string, opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return observedGauge{name: name}, m.all.made(name, metric.NewInt64ObservableGaugeConfig(opts...).Unit())
}

func (m *meter) Float64ObservableGauge(name string, opts ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return observedSeconds{name: name}, m.all.made(name, metric.NewFloat64ObservableGaugeConfig(opts...).Unit())
}

func (m *meter) RegisterCallback(read metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.all.callbacks = append(m.all.callbacks, read)
	return registration{all: m.all, index: len(m.all.callbacks) - 1}, nil
}

type registration struct {
	metricnoop.Registration
	all   *meters
	index int
}

func (r registration) Unregister() error {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.all.callbacks[r.index] = nil
	return nil
}

type reading struct {
	metricnoop.Observer
	all *meters
}

func (r reading) ObserveInt64(o metric.Int64Observable, v int64, opts ...metric.ObserveOption) {
	r.all.note(fmt.Sprint(o), float64(v), metric.NewObserveConfig(opts).Attributes())
}

func (r reading) ObserveFloat64(o metric.Float64Observable, v float64, opts ...metric.ObserveOption) {
	r.all.note(fmt.Sprint(o), v, metric.NewObserveConfig(opts).Attributes())
}

// tracers keeps the spans that were ended.
type tracers struct {
	tracenoop.TracerProvider
	mu    sync.Mutex
	ended []*span // guarded by mu
	made  byte    // guarded by mu
}

func (t *tracers) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{all: t} }

// named lists the ended spans of a name.
func (t *tracers) named(name string) (found []*span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.ended {
		if s.name == name {
			found = append(found, s)
		}
	}
	return found
}

type tracer struct {
	tracenoop.Tracer
	all *tracers
}

func (t tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	cfg := trace.NewSpanStartConfig(opts...)
	s := &span{all: t.all, name: name, begun: cfg.Timestamp(), links: cfg.Links(), attrs: map[string]string{}, open: true}
	if !cfg.NewRoot() {
		s.parent = trace.SpanContextFromContext(ctx)
	}
	t.all.mu.Lock()
	t.all.made++
	id := t.all.made
	t.all.mu.Unlock()
	s.sc = trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}, TraceFlags: trace.FlagsSampled})
	s.SetAttributes(cfg.Attributes()...)
	return trace.ContextWithSpan(ctx, s), s
}

type span struct {
	tracenoop.Span
	all         *tracers
	name        string
	sc          trace.SpanContext
	parent      trace.SpanContext
	links       []trace.Link
	begun, over time.Time
	attrs       map[string]string
	status      codes.Code
	text        string
	open        bool
}

func (s *span) SpanContext() trace.SpanContext        { return s.sc }
func (s *span) IsRecording() bool                     { return s.open }
func (s *span) SetStatus(code codes.Code, why string) { s.status, s.text = code, why }
func (s *span) SetAttributes(attrs ...attribute.KeyValue) {
	for _, a := range attrs {
		s.attrs[string(a.Key)] = a.Value.String()
	}
}

func (s *span) End(opts ...trace.SpanEndOption) {
	cfg := trace.NewSpanEndConfig(opts...)
	s.over, s.open = cfg.Timestamp(), false
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.all.ended = append(s.all.ended, s)
}
