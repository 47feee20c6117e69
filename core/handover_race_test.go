package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A lock is handed over while it is renewed, lost or closed down, and given up by its
// next holder, all at once. Whatever comes of it, everybody is answered, no key is
// left, and no two hold it.
func TestHandOverMeetsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for round := range 40 {
		m := managerOn(t, nodes.URLs(), withTTL(time.Hour))
		key := fmt.Sprint("k", round)
		l := hold(t, m, key, WithAutoRenew())
		ctx, cancel := context.WithCancel(t.Context())
		leaving := await(t, ctx, m, key, WithWait(time.Hour))
		staying := await(t, t.Context(), m, key, WithWait(time.Hour), WithAutoRenew())
		var all sync.WaitGroup
		begin := make(chan struct{})
		at := func(do func()) { all.Go(func() { <-begin; do() }) }
		at(cancel)
		at(func() { _ = l.Renew(t.Context(), time.Hour) })
		at(func() { _ = l.Extend(t.Context(), time.Hour) })
		at(func() { _ = l.Release(t.Context()) })
		if round%2 == 0 {
			at(l.lease.lose)
		}
		if round%4 == 1 { // what was lost before its end is not for Close to release
			at(func() { assert.NoError(t, m.Close()) })
		}
		close(begin)
		all.Wait()
		var last uint64
		for _, next := range []<-chan got{leaving, staying} {
			g := <-next
			if g.err != nil {
				require.True(t, errors.Is(g.err, context.Canceled) || errors.Is(g.err, ErrClosed), "%v", g.err)
				continue
			}
			require.Greater(t, g.lock.FencingToken(), max(last, l.FencingToken()))
			last = g.lock.FencingToken()
			_ = g.lock.Release(t.Context())
		}
		cancel()
		requireGone(t, nodes.All()...)
		require.NoError(t, m.Close())
		require.Zero(t, m.Stats().Held)
	}
}
