package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A store that answers at once must not be said to have timed out, whichever of
// its answer and the end of its context the caller comes to see first.
func TestAnswersAreNotTakenForTimeouts(t *testing.T) {
	t.Parallel()
	c := open[int](t, cache.Config{Fresh: time.Hour, StoreTimeout: time.Hour, Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewMemory(1<<20))})
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for i := range 500 {
				r, err := c.Lookup(t.Context(), fmt.Sprint(caller, i), value(i))
				assert.NoError(t, err)
				assert.True(t, r.Stored)
			}
		})
	}
	callers.Wait()
	assert.Zero(t, c.Stats().StoreErrors)
}

// brokenStore is a Store whose every operation fails in its own way.
type brokenStore struct{ fail func() }

func (s brokenStore) Get(context.Context, string) (cache.Item, error) {
	s.fail()
	return cache.Item{}, nil
}
func (s brokenStore) Set(context.Context, string, cache.Item) error { s.fail(); return nil }
func (s brokenStore) Delete(context.Context, ...string) error       { s.fail(); return nil }
func (s brokenStore) DeleteTags(context.Context, ...string) error   { s.fail(); return nil }

func TestPanicOfAStoreIsItsFailure(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("store") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			open := func(onFailure cache.Failure) *cache.Cache[string] {
				return open[string](t, cache.Config{Fresh: time.Hour, StoreTimeout: time.Hour, OnStoreFailure: onFailure, Store: brokenStore{fail}})
			}
			c := open(cache.FailOpen)
			r, err := c.Lookup(t.Context(), "k", value("made"))
			require.NoError(t, err)
			require.Equal(t, "made", r.Value)
			require.False(t, r.Stored)
			require.ErrorIs(t, c.Invalidate(t.Context(), "k"), cache.ErrStore)
			require.ErrorIs(t, c.InvalidateTag(t.Context(), "t"), cache.ErrStore)
			require.Positive(t, c.Stats().StoreErrors)

			_, err = open(cache.FailClosed).Get(t.Context(), "k", unexpected[string](t))
			require.ErrorIs(t, err, cache.ErrStore)
		})
	}
}
