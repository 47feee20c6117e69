package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/telemetry"
)

func observer(t testing.TB, edit ...func(*telemetry.Config)) (*telemetry.Observer, *meters, *tracers) {
	t.Helper()
	m, s := newMeters(), &tracers{}
	cfg := telemetry.Config{Meters: m, Tracers: s}
	for _, e := range edit {
		e(&cfg)
	}
	o, err := telemetry.New(cfg)
	require.NoError(t, err)
	return o, m, s
}

func TestEveryOutcomeHasItsReason(t *testing.T) {
	outage := &core.QuorumError{Need: 2, Got: 1}
	for _, c := range []struct {
		err  error
		want string
	}{
		{core.ErrTimeout, "timeout"},
		{core.ErrNotAcquired, "contended"},
		{outage, "no_quorum"},
		{errors.Join(core.ErrTimeout, outage), "no_quorum"},
		{errors.Join(core.ErrTimeout, context.Canceled), "canceled"},
		{errors.Join(core.ErrTimeout, context.DeadlineExceeded), "timeout"},
		{core.ErrDeadlock, "deadlock"},
		{core.ErrClosed, "closed"},
		{fmt.Errorf("%w: empty key", core.ErrInvalid), "invalid"},
		{errors.New("something else"), "_OTHER"},
	} {
		o, m, s := observer(t)
		err := &core.LockError{Op: "acquire", Key: "order_42", Err: c.err}
		o.Observe(t.Context(), core.Event{Kind: core.EventRefused, Key: "order_42", Duration: 3 * time.Second, Err: err})
		require.Equal(t, 1.0, m.sum("dlm.lock.refused error.type="+c.want), "%v: %v", c.err, m.series())
		require.Equal(t, 3.0, m.sum("dlm.lock.wait.duration error.type="+c.want), c.err)
		require.Equal(t, c.want, s.named("dlm acquire")[0].attrs["error.type"])
	}
}

func TestLockIsMeasuredAndTraced(t *testing.T) {
	o, m, s := observer(t)
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: o})
	require.NoError(t, err)
	defer locks.Close()

	ctx, request := tracer{all: s}.Start(t.Context(), "request")
	before := time.Now()
	err = locks.Do(ctx, "order_42", func(context.Context) error { return nil })
	require.NoError(t, err)
	request.End()

	require.Equal(t, 1.0, m.sum("dlm.lock.acquired dlm.lock.source=redis"))
	require.Equal(t, 1.0, m.sum("dlm.lock.released"))
	require.Positive(t, m.sum("dlm.lock.wait.duration"))
	require.Positive(t, m.sum("dlm.lock.hold.duration"))
	for _, series := range m.series() {
		require.NotContains(t, series, "order_42", "a key makes a series of its own, for ever")
	}

	acquire, hold := s.named("dlm acquire")[0], s.named("dlm hold")[0]
	for _, span := range []*span{acquire, hold} {
		require.Equal(t, request.SpanContext(), span.parent, "part of the request's trace")
		require.Equal(t, "order_42", span.attrs["dlm.lock.key"])
		require.NotEmpty(t, span.attrs["dlm.lock.fencing_token"])
		require.Equal(t, codes.Unset, span.status)
	}
	require.False(t, acquire.begun.Before(before))
	require.True(t, acquire.begun.Before(acquire.over))
	require.True(t, acquire.over.Equal(hold.begun), "the hold begins with the grant: %v, %v", acquire.over, hold.begun)
	require.False(t, hold.over.Before(hold.begun))
}

func TestLossEndsTheHoldOnce(t *testing.T) {
	o, m, s := observer(t)
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: o})
	require.NoError(t, err)
	defer locks.Close()
	l, err := locks.Acquire(t.Context(), "k", core.WithTTL(50*time.Millisecond))
	require.NoError(t, err)
	<-l.Context().Done()
	require.ErrorIs(t, l.Release(t.Context()), core.ErrExpired)

	require.Eventually(t, func() bool { return m.sum("dlm.lock.lost") == 1 }, 10*time.Second, time.Millisecond)
	require.Len(t, s.named("dlm hold"), 1)
	require.Equal(t, "lost", s.named("dlm hold")[0].attrs["error.type"])
	require.Equal(t, codes.Error, s.named("dlm hold")[0].status)
	require.Equal(t, 1.0, m.sum("dlm.lock.released error.type=expired"))
	require.Positive(t, m.sum("dlm.lock.hold.duration error.type=lost"))
	require.Zero(t, m.sum("dlm.lock.hold.duration"))
}

// The context of a lock ends with that of the lock around it. That one's loss is not
// its own.
func TestLossOfTheOuterLockIsNotTheInnerOnes(t *testing.T) {
	o, m, _ := observer(t)
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: o})
	require.NoError(t, err)
	defer locks.Close()
	outer, err := locks.Acquire(t.Context(), "outer")
	require.NoError(t, err)
	inner, err := locks.Acquire(outer.Context(), "inner")
	require.NoError(t, err)
	for _, n := range nodes.All() {
		for _, key := range n.Keys("dlm:") {
			if strings.HasSuffix(key, ":l:outer") {
				n.Miniredis().Del(key)
			}
		}
	}
	require.ErrorIs(t, outer.Extend(t.Context(), time.Second), core.ErrExpired)
	require.Equal(t, core.ErrLost, context.Cause(inner.Context()))
	require.NoError(t, inner.Release(t.Context()))
	require.Equal(t, 1.0, m.sum("dlm.lock.lost"))
	require.Positive(t, m.sum("dlm.lock.hold.duration"), "of the inner lock")
}

func TestNodeTransitions(t *testing.T) {
	o, m, _ := observer(t)
	o.Observe(t.Context(), core.Event{Kind: core.EventNodeDown, Node: "10.0.0.1:6379", Err: errors.New("refused")})
	o.Observe(t.Context(), core.Event{Kind: core.EventNodeUp, Node: "sentinel[1]"})
	o.Observe(t.Context(), core.Event{Kind: core.EventWaiting, Key: "k"})
	o.Observe(t.Context(), core.Event{Kind: core.EventRenewed, Key: "k"})
	require.ElementsMatch(t, []string{
		"dlm.node.transitions dlm.node.state=down,server.address=10.0.0.1,server.port=6379",
		"dlm.node.transitions dlm.node.state=up,server.address=sentinel[1]",
		"dlm.lock.waited", "dlm.lock.renewed",
	}, m.series())
}

func TestNodesOfAManagerGoDownAndComeBack(t *testing.T) {
	o, m, _ := observer(t)
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), TTL: time.Second, Observer: o})
	require.NoError(t, err)
	defer locks.Close()
	until := func(state string, want float64) {
		t.Helper()
		series := "dlm.node.transitions dlm.node.state=" + state + ",server.address=127.0.0.1,server.port=" + nodes.Node(1).Addr()[len("127.0.0.1:"):]
		require.Eventually(t, func() bool {
			_, _ = locks.Health(t.Context())
			return m.sum(series) >= want
		}, time.Minute, time.Millisecond, series)
	}
	_, err = locks.Health(t.Context())
	require.NoError(t, err)
	require.NoError(t, nodes.Node(1).Kill())
	until("down", 1)
	require.NoError(t, nodes.Node(1).Restart())
	until("up", 1)
	require.NoError(t, nodes.Node(1).Kill())
	until("down", 2)
}

func TestGroupsStandForKeys(t *testing.T) {
	o, m, s := observer(t, func(c *telemetry.Config) {
		c.Group = func(key string) string { group, _, _ := strings.Cut(key, "_"); return group }
	})
	o.Observe(t.Context(), core.Event{Kind: core.EventHandedOver, Key: "order_42", FencingToken: 7})
	require.Equal(t, 1.0, m.sum("dlm.lock.acquired dlm.lock.group=order,dlm.lock.source=handover"))
	require.Equal(t, "order", s.named("dlm acquire")[0].attrs["dlm.lock.group"])
	require.Equal(t, "handover", s.named("dlm acquire")[0].attrs["dlm.lock.source"])
}

func TestHiddenKeysAreNowhere(t *testing.T) {
	o, m, s := observer(t, func(c *telemetry.Config) { c.HideKeys = true })
	err := &core.LockError{Op: "acquire", Key: "alice@example.com", Err: core.ErrTimeout}
	o.Observe(t.Context(), core.Event{Kind: core.EventRefused, Key: "alice@example.com", Err: err})
	require.NotContains(t, fmt.Sprint(m.series(), s.ended[0].attrs, s.ended[0].text), "alice")
	require.Equal(t, "timeout", s.ended[0].text)
}

func TestHostileKeysBecomeText(t *testing.T) {
	o, _, s := observer(t)
	o.Observe(t.Context(), core.Event{Kind: core.EventAcquired, Key: "\xff" + strings.Repeat("x", 10_000)})
	require.Regexp(t, regexp.MustCompile("^\uFFFDx{255}…$"), s.ended[0].attrs["dlm.lock.key"])
}

func TestUnitsAreTheConventions(t *testing.T) {
	_, m, _ := observer(t)
	require.Len(t, m.units, 25)
	for name, unit := range m.units {
		require.True(t, strings.HasPrefix(name, "dlm."), name)
		if strings.HasSuffix(name, ".duration") {
			require.Equal(t, "s", unit, name)
		}
		require.NotEmpty(t, unit, name)
	}
}

func TestNewSaysWhichInstrumentIsMissing(t *testing.T) {
	m := newMeters()
	m.refuse = "dlm.lock.lost"
	_, err := telemetry.New(telemetry.Config{Meters: m})
	require.EqualError(t, err, "dlm/telemetry: dlm.lock.lost refused")
}

// BenchmarkObserve is what an event costs beside what the SDK does with it.
func BenchmarkObserve(b *testing.B) {
	o, err := telemetry.New(telemetry.Config{Meters: metricnoop.NewMeterProvider(), Tracers: tracenoop.NewTracerProvider()})
	require.NoError(b, err)
	ctx, event := context.Background(), core.Event{Kind: core.EventAcquired, Key: "order_42", Time: time.Now(), Duration: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		o.Observe(ctx, event)
	}
}
