package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/telemetry"
)

func TestWatchManagerReportsLocksAndNodes(t *testing.T) {
	o, m, _ := observer(t)
	nodes := coretest.Embedded(t, 3)
	locks, err := core.New(core.Config{Nodes: nodes.URLs(), Observer: o})
	require.NoError(t, err)
	defer locks.Close()
	stop, err := o.WatchManager(locks)
	require.NoError(t, err)
	_, err = locks.Acquire(t.Context(), "k")
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the lock is granted before the last node has answered
		for _, n := range locks.Stats().Nodes {
			if n.Commands == 0 {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)

	require.NoError(t, m.collect(t.Context()))
	require.Equal(t, 1.0, m.sum("dlm.lock.held"))
	require.Contains(t, m.series(), "dlm.lock.waiting")
	require.Equal(t, 2.0, m.sum("dlm.quorum"))
	at := func(i int) string {
		return fmt.Sprintf(" server.address=127.0.0.1,server.port=%s", nodes.Node(i).Addr()[len("127.0.0.1:"):])
	}
	for i := range 3 {
		require.Equal(t, 1.0, m.sum("dlm.node.voting"+at(i)))
		require.Positive(t, m.sum("dlm.node.ping.duration"+at(i)))
		require.Positive(t, m.sum("dlm.node.commands"+at(i)))
	}

	require.NoError(t, nodes.Node(0).Kill())
	require.NoError(t, m.collect(t.Context()))
	require.NotContains(t, m.series(), "dlm.node.ping.duration"+at(0), "there is none")
	require.Contains(t, m.series(), "dlm.node.voting"+at(0))
	require.Zero(t, m.sum("dlm.node.voting"+at(0)))
	require.Equal(t, 1.0, m.sum("dlm.node.voting"+at(1)))

	require.NoError(t, stop())
	require.NoError(t, m.collect(t.Context()))
	require.Empty(t, m.series())
}

func TestWatchManagerAfterCloseSaysSo(t *testing.T) {
	o, m, _ := observer(t)
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	_, err = o.WatchManager(locks)
	require.NoError(t, err)
	require.NoError(t, locks.Close())
	require.ErrorIs(t, m.collect(t.Context()), core.ErrClosed)
}

func TestWatchCacheReportsOutcomes(t *testing.T) {
	o, m, _ := observer(t)
	memory := cache.NewMemory(1 << 20)
	values, err := cache.New[string](cache.Config{Store: memory, Fresh: time.Minute})
	require.NoError(t, err)
	defer values.Close()
	_, err = o.WatchCache("quotes", values.Stats)
	require.NoError(t, err)
	_, err = o.WatchMemory("quotes", memory.Usage)
	require.NoError(t, err)

	for range 4 {
		_, err = values.Get(t.Context(), "k", func(context.Context) (string, error) { return "v", nil })
		require.NoError(t, err)
	}
	_, err = values.Get(t.Context(), "bad", func(context.Context) (string, error) { return "", errors.New("no") })
	require.Error(t, err)

	require.NoError(t, m.collect(t.Context()))
	require.Equal(t, 3.0, m.sum("dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result=hit"))
	require.Equal(t, 1.0, m.sum("dlm.cache.fetches dlm.cache.name=quotes"))
	require.Equal(t, 1.0, m.sum("dlm.cache.fetches dlm.cache.name=quotes,error.type=_OTHER"))
	require.Equal(t, 1.0, m.sum("dlm.cache.memory.entries dlm.cache.name=quotes"))
	require.Positive(t, m.sum("dlm.cache.memory.usage dlm.cache.name=quotes"))
	require.Equal(t, float64(1<<20), m.sum("dlm.cache.memory.limit dlm.cache.name=quotes"))
	for _, series := range []string{
		"dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result=collapsed",
		"dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result=stale",
		"dlm.cache.requests dlm.cache.name=quotes,dlm.cache.result=refused",
		"dlm.cache.discarded dlm.cache.name=quotes,dlm.cache.reason=fenced",
		"dlm.cache.errors dlm.cache.name=quotes,dlm.cache.source=store",
		"dlm.cache.refreshes dlm.cache.name=quotes,dlm.cache.result=begun",
		"dlm.cache.fetches.active dlm.cache.name=quotes",
	} {
		require.Contains(t, m.series(), series, "told from the start, so that rates work")
	}
}

func TestFetchIsPartOfTheRequestUntilThatIsOver(t *testing.T) {
	o, _, s := observer(t)
	ctx, request := tracer{all: s}.Start(t.Context(), "request")
	fetch := telemetry.Fetch(o, "quotes", func(context.Context) (int, error) { return 1, errors.New("no quote") })
	_, err := fetch(ctx)
	require.EqualError(t, err, "no quote")
	request.End()
	_, _ = fetch(ctx) // a background refresh
	_, _ = fetch(context.Background())

	spans := s.named("dlm fetch")
	require.Equal(t, request.SpanContext(), spans[0].parent)
	require.Empty(t, spans[0].links)
	require.Equal(t, "no quote", spans[0].text)
	require.Equal(t, "quotes", spans[0].attrs["dlm.cache.name"])
	require.False(t, spans[1].parent.IsValid(), "a trace of its own")
	require.Equal(t, request.SpanContext(), spans[1].links[0].SpanContext)
	require.Empty(t, spans[2].links)
}

// A background refresh begins while its request is being answered; that it is
// linked does not depend on which ends first.
func TestRefreshOfACacheIsLinkedWhileItsRequestGoesOn(t *testing.T) {
	o, _, s := observer(t)
	values, err := cache.New[int](cache.Config{Store: cache.NewMemory(1 << 20), Fresh: time.Nanosecond, Stale: time.Hour})
	require.NoError(t, err)
	defer values.Close()
	runs, background := 0, make(chan bool, 2)
	fetch := telemetry.Fetch(o, "quotes", func(ctx context.Context) (int, error) {
		background <- cache.IsRefresh(ctx)
		runs++
		return runs, nil
	})
	ctx, request := tracer{all: s}.Start(t.Context(), "request")
	for range 2 {
		v, err := values.Get(ctx, "k", fetch)
		require.NoError(t, err)
		require.Equal(t, 1, v)
	}
	require.Eventually(t, func() bool { return len(s.named("dlm fetch")) == 2 }, time.Minute, time.Millisecond)
	request.End()
	require.False(t, <-background)
	require.True(t, <-background)
	first, refresh := s.named("dlm fetch")[0], s.named("dlm fetch")[1]
	require.Equal(t, request.SpanContext(), first.parent)
	require.False(t, refresh.parent.IsValid(), "a trace of its own")
	require.Equal(t, []trace.Link{{SpanContext: request.SpanContext()}}, refresh.links)
}
