package core

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Whatever order renewals of different length are sent and confirmed in, nobody
// relies on the lease for longer than the shortest of those that may be the last
// one that a node has executed.
func TestRenewalsOfDifferentLengthInAnyOrder(t *testing.T) {
	t.Parallel()
	const granted = 15 * time.Minute
	m := managerOn(t, coretest.Redis(t, 1).URLs())
	lengths := []time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute}
	for i := range 27 {
		ttls := []time.Duration{lengths[i%3], lengths[i/3%3], lengths[i/9]}
		for _, order := range interleavings() {
			l := hold(t, m, "k", WithTTL(granted))
			checkRenewals(t, l, granted, ttls, order)
			require.NoError(t, l.Release(t.Context()))
		}
	}
}

// interleavings are the orders of three sends, 0 to 2, and their confirmations, 3
// to 5, each behind its send.
func interleavings() (all [][]int) {
	var extend func(order []int)
	extend = func(order []int) {
		if len(order) == 6 {
			all = append(all, order)
			return
		}
		for step := range 6 {
			behind := step - 1 // sends are in order
			if step > 2 {
				behind = step - 3
			}
			if !slices.Contains(order, step) && (behind < 0 || slices.Contains(order, behind)) {
				extend(append(slices.Clone(order), step))
			}
		}
	}
	extend(nil)
	return all
}

func checkRenewals(t *testing.T, l *Lock, granted time.Duration, ttls []time.Duration, order []int) {
	t.Helper()
	s := l.lease
	reach := []time.Duration{granted} // of what is in force, and of what was sent since
	var sent []*renewal
	confirmed := 0
	for _, step := range order {
		if step < 3 {
			r := l.m.newRenewal(time.Now(), []*lease{s})
			require.NoError(t, s.ask(r, l, ttls[step], false))
			sent, reach = append(sent, r), append(reach, ttls[step])
		} else {
			r := sent[step-3]
			s.renewed(r.start, r.ttls[0], r.numbers[0])
			confirmed = max(confirmed, step-2)
		}
		relied := time.Until(s.validUntil()).Round(time.Minute)
		require.LessOrEqual(t, relied, slices.Min(reach[confirmed:]), "renewals to %v, order %v, after %d", ttls, order, step)
	}
	require.Equal(t, ttls[2], time.Until(s.validUntil()).Round(time.Minute), "renewals to %v, order %v", ttls, order)
}

// The nodes execute renewals of one lock that are sent at the same time in one order.
func TestConcurrentRenewalsAgreeWithTheNodes(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	for i := range 100 {
		l := hold(t, m, fmt.Sprint("k", i), WithTTL(10*time.Minute))
		var wait sync.WaitGroup
		begin := make(chan struct{})
		for _, d := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour, 2 * time.Minute} {
			wait.Go(func() { <-begin; assert.NoError(t, l.Renew(t.Context(), d)) })
		}
		close(begin)
		wait.Wait()
		left := func() (leases []time.Duration) {
			for _, n := range nodes.All() {
				leases = append(leases, leaseOn(t, l, n))
			}
			slices.Sort(leases)
			return leases
		}
		require.Eventually(t, func() bool { // the slowest node may be behind
			all := left()
			return all[2]-all[0] < 30*time.Second
		}, patience, time.Millisecond, "the nodes differ: %v", lazily(func() any { return left() }))
		require.Less(t, time.Until(l.Until()), left()[1], "round %d: relied upon for longer than it lasts", i)
		require.NoError(t, l.Release(t.Context()))
	}
}

// confirming tells of a confirmation, and holds it back.
type confirming struct {
	wire.Transport
	begun func()
	until <-chan struct{}
}

func (c *confirming) Send(now time.Time, call wire.Call) {
	if _, ok := call.To.(confirmation); ok {
		c.begun()
		<-c.until
	}
	c.Transport.Send(now, call)
}

// A node that has not confirmed its grant when the majority has, and when the lock
// was renewed already, is not asked to any more: the lease would be the old one.
func TestConfirmationIsNotSentBehindARenewal(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3) // new ones have no counters, so every claim has to be confirmed
	m := managerOn(t, nodes.URLs())
	late, renewed := make(chan struct{}), make(chan struct{})
	for _, n := range m.nodes[:2] {
		n.wire = &confirming{n.wire, func() {}, late}
	}
	m.nodes[2].wire = &confirming{m.nodes[2].wire, func() { close(late) }, renewed}
	l := hold(t, m, "k", WithTTL(time.Hour))
	require.NoError(t, l.Renew(t.Context(), time.Minute))
	close(renewed)
	require.Eventually(t, func() bool { return len(l.Info().Nodes) == 3 }, patience, time.Millisecond)
	require.Never(t, func() bool { return leaseOn(t, l, nodes.Node(2)) > time.Minute }, 50*time.Millisecond, 5*time.Millisecond)
	require.NoError(t, l.Release(t.Context()))
}

// A shorter lease whose confirmation is lost is over, for its holder too, when it
// is for the nodes.
func TestUnconfirmedShorterLeaseEndsInTime(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	p := coretest.ProxyTo(t, nodes.Node(0).URL())
	m, other := managerOn(t, []string{p.URL()}, withNodeTimeout(frozen)), managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(time.Hour))
	p.DropReplies()
	require.ErrorIs(t, l.Renew(t.Context(), 2*time.Second), ErrNoQuorum)
	successor, err := other.Acquire(t.Context(), "k", WithWait(patience))
	require.NoError(t, err)
	require.Error(t, l.Context().Err(), "two holders") // it looks at the clock, should the machine have stood still
	require.ErrorIs(t, context.Cause(l.Context()), ErrLost)
	require.NoError(t, p.Resume())
	require.ErrorIs(t, l.Release(t.Context()), ErrExpired)
	require.NoError(t, successor.Release(t.Context()))
}

func TestRenewSetsTheTTLOfLaterRenewals(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs())
	l := hold(t, m, "k", WithTTL(time.Hour), WithAutoRenew())
	const ttl = 3 * time.Second
	require.NoError(t, l.Renew(t.Context(), ttl))
	until := l.Until()
	require.Eventually(t, func() bool { return l.Until().After(until) }, patience, time.Millisecond, "not renewed")
	require.LessOrEqual(t, time.Until(l.Until()), ttl)
	require.NoError(t, l.Context().Err())
	require.NoError(t, l.Release(t.Context()))
}

// The loss of a lock ends the contexts of those taken under it, and not the locks.
func TestLossOfTheOuterLockLeavesTheInnerOne(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs())
	outer := hold(t, m, "outer", WithTTL(time.Hour))
	inner, err := m.Acquire(outer.Context(), "inner", WithTTL(time.Hour))
	require.NoError(t, err)
	outer.lease.lose()
	<-inner.Context().Done()
	require.ErrorIs(t, context.Cause(inner.Context()), ErrLost)
	require.ErrorIs(t, outer.Extend(t.Context(), time.Hour), ErrExpired)
	require.NoError(t, inner.Extend(t.Context(), time.Hour))
	require.NoError(t, inner.Renew(t.Context(), time.Hour))
	require.NoError(t, inner.Release(t.Context()))
	require.ErrorIs(t, inner.Extend(t.Context(), time.Hour), ErrNotOwner)
	require.ErrorIs(t, outer.Release(t.Context()), ErrExpired)
}
