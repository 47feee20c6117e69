package core

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// Nodes that are not there end the wait of all who queue, however long they would
// have waited for a holder, and each of them is refused once.
func TestMaxOutageEndsTheWait(t *testing.T) {
	for _, fault := range []standInFault{standsDown, standsFrozen} {
		for _, bearable := range []time.Duration{0, 3 * time.Second} {
			t.Run(fmt.Sprint(fault, bearable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { maxOutageEndsTheWait(t, fault, bearable) })
			})
		}
	}
}

func maxOutageEndsTheWait(t *testing.T, fault standInFault, bearable time.Duration) {
	const callers = 20
	all := newStandIns(t, 3, time.Millisecond)
	m := managerOnStandIns(t, all, Config{NodeTimeout: time.Second})
	defer func() { require.NoError(t, m.Close()) }()
	for _, n := range all[:2] {
		n.suffer(fault)
	}
	began := time.Now()
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			_, err := m.Acquire(t.Context(), "k", WithWait(time.Hour), WithMaxOutage(bearable))
			assert.ErrorIs(t, err, ErrNoQuorum)
			assert.NotErrorIs(t, err, ErrNotAcquired)
			took := time.Since(began)
			assert.GreaterOrEqual(t, took, bearable)
			assert.LessOrEqual(t, took, bearable+2*m.cfg.NodeTimeout+m.cfg.RetryDelay, "the round that was under way and one pause at most")
		})
	}
	wait.Wait()
	assert.EqualValues(t, callers, m.Stats().Refused)
}

// A holder is waited for, before the outage as well as after it.
func TestMaxOutageIsNotAboutHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		holding, waiting := managerIn(t, nodes), managerIn(t, nodes)
		held := hold(t, holding, "k", WithTTL(time.Hour))
		got := make(chan error, 1)
		go func() {
			l, err := waiting.Acquire(t.Context(), "k", WithWait(time.Hour), WithMaxOutage(0))
			if err == nil {
				err = l.Release(t.Context())
			}
			got <- err
		}()
		time.Sleep(time.Minute)
		require.NoError(t, held.Release(t.Context()))
		require.NoError(t, <-got)
	})
}

// Who bears with an outage gets the lock when the nodes are back.
func TestMaxOutageIsBorneUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newStandIns(t, 1, time.Millisecond)
		m := managerOnStandIns(t, all, Config{NodeTimeout: time.Second})
		defer func() { require.NoError(t, m.Close()) }()
		all[0].suffer(standsDown)
		got := make(chan error, 1)
		go func() {
			l, err := m.Acquire(t.Context(), "k", WithWait(time.Hour), WithMaxOutage(time.Minute))
			if err == nil {
				err = l.Release(t.Context())
			}
			got <- err
		}()
		time.Sleep(2 * time.Second)
		all[0].suffer(standsWell)
		require.NoError(t, <-got)
	})
}

func TestMaxOutageMustNotBeNegative(t *testing.T) {
	m := managerOn(t, coretest.Embedded(t, 1).URLs())
	require.ErrorIs(t, m.Check(WithMaxOutage(-1)), ErrInvalid)
	require.NoError(t, m.Check(WithMaxOutage(0)))
}
