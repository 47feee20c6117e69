package cache_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// detained is a Redis whose next Get of a value after detain keeps its answer until
// it is let go.
type detained struct {
	*cache.Redis
	detain        atomic.Bool
	held, release chan struct{}
}

func (d *detained) Get(ctx context.Context, key string) (cache.Item, error) {
	it, err := d.Redis.Get(ctx, key)
	if d.detain.CompareAndSwap(true, false) {
		close(d.held)
		select {
		case <-d.release:
		case <-ctx.Done():
		}
	}
	return it, err
}

// Who has looked into the store before a fill, and comes back with it after, does not
// put the older value in the place of the newer one.
func TestALateLookDoesNotUndoAFill(t *testing.T) {
	nodes := coretest.Embedded(t, 1)
	client := nodes.Clients()[0]
	locks := manager(t, nodes.Clients())
	store := &detained{Redis: cache.NewRedis(client), held: make(chan struct{}), release: make(chan struct{})}
	c := open[string](t, cache.Config{Locks: locks, Fresh: time.Hour, Store: cache.NewTiered(cache.NewMemory(1<<20), store)})
	require.Eventually(t, func() bool { return c.Stats().Coherent }, patience, time.Millisecond)
	other := open[string](t, cache.Config{Locks: locks, Fresh: time.Hour, Store: cache.NewRedis(client)})
	fetch := func(v string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return v, nil }
	}
	_, err := other.Get(t.Context(), "k", fetch("old"))
	require.NoError(t, err)

	store.detain.Store(true)
	var late sync.WaitGroup
	late.Go(func() {
		v, ok := c.Peek(t.Context(), "k")
		assert.True(t, ok)
		assert.Equal(t, "old", v.Value)
	})
	<-store.held
	_, err = c.Refresh(t.Context(), "k", fetch("new"))
	require.NoError(t, err)
	close(store.release)
	late.Wait()
	v, err := c.Get(t.Context(), "k", unexpected[string](t))
	require.NoError(t, err)
	require.Equal(t, "new", v)
}

// That many tags are purged, as by every unsafe request, costs few others their values.
func TestPurgesOfManyTagsLeaveOthersAlone(t *testing.T) {
	c := open[grouped](t, cache.Config{Fresh: time.Hour})
	const values = 500
	fetch := func(i int) func(context.Context) (grouped, error) {
		return func(context.Context) (grouped, error) { return grouped(fmt.Sprint(i)), nil }
	}
	for i := range values {
		_, err := c.Get(t.Context(), fmt.Sprint(i), fetch(i))
		require.NoError(t, err)
	}
	for i := range 1000 {
		require.NoError(t, c.InvalidateTag(t.Context(), fmt.Sprint("another", i)))
	}
	left := 0
	for i := range values {
		if _, ok := c.Hit(fmt.Sprint(i)); ok {
			left++
		}
	}
	require.Greater(t, left, values*8/10)
}

// grouped is a value with a tag of its own.
type grouped string

func (v grouped) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: time.Hour, Tags: []string{string(v)}}
}
