package cache_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/stretchr/testify/assert"
)

// A store that answers at once must not be said to have timed out, whichever of
// its answer and the end of its context the caller comes to see first.
func TestAnswersAreNotTakenForTimeouts(t *testing.T) {
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
