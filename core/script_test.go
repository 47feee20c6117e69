package core

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestForgottenScriptsAreInvisible(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	for i := range 20 {
		forget := func() { require.NoError(t, nodes.ScriptFlush()) }
		key := fmt.Sprint("k", i)
		forget()
		l := hold(t, m, key)
		forget()
		require.NoError(t, l.Renew(t.Context(), time.Hour))
		forget()
		_, err := m.Inspect(t.Context(), key)
		require.NoError(t, err)
		forget()
		require.NoError(t, l.Release(t.Context()))
		requireGone(t, nodes.All()...)
	}
}

// Scripts are forgotten all the time while locks come and go: a repeated acquire
// never overtakes its own release, and nothing waits for ever.
func TestForgottenScriptsUnderLoad(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
	stop := make(chan struct{})
	var forgetter, wait sync.WaitGroup
	forgetter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, nodes.ScriptFlush())
			}
		}
	})
	for c := range 16 {
		wait.Go(func() {
			for i := range 20 {
				l, err := m.Acquire(t.Context(), fmt.Sprint("k", c, "-", i), WithWait(patience))
				if assert.NoError(t, err) {
					assert.NoError(t, errors.Join(l.Renew(t.Context(), time.Hour), l.Release(t.Context())))
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	forgetter.Wait()
	requireGone(t, nodes.All()...)
}
