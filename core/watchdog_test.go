package core

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// watched runs a watchdog in a bubble of faked time.
func watched(t *testing.T, f func(*testing.T, *watchdog)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d := newWatchdog(time.Second)
		go d.run(ctx)
		f(t, d)
	})
}

func newWait() *wait { return &wait{done: make(signal, 1)} }

func TestWatchdogEndsEachWaitWhenItIsDue(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		began, first, second := time.Now(), newWait(), newWait()
		d.watch(first, began.Add(time.Second))
		time.Sleep(time.Second / 2)
		d.watch(second, began.Add(3*time.Second/2))
		<-first.done
		require.Equal(t, time.Second, time.Since(began))
		require.True(t, first.overdue.Load())
		require.False(t, second.overdue.Load())
		<-second.done
		require.Equal(t, 3*time.Second/2, time.Since(began))
		require.True(t, second.overdue.Load())
		synctest.Wait()
		require.False(t, d.armed, "nobody waits")
		d.watch(first, time.Now().Add(time.Second))
		require.False(t, first.overdue.Load(), "it waits anew")
		<-first.done
		d.forget(first) // who was found overdue is forgotten already
		require.Equal(t, &d.waits, d.waits.next)
	})
}

// What is due before those that wait already is not found late for that.
func TestWatchdogEndsAShorterWaitInTime(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		began, long, short, last := time.Now(), newWait(), newWait(), newWait()
		d.watch(long, began.Add(time.Second))
		d.watch(short, began.Add(time.Millisecond))
		d.watch(last, began.Add(time.Second/2))
		<-short.done
		require.Equal(t, time.Millisecond, time.Since(began))
		require.False(t, last.overdue.Load() || long.overdue.Load())
		<-last.done
		require.Equal(t, time.Second/2, time.Since(began))
		<-long.done
		require.Equal(t, time.Second, time.Since(began))
	})
}

// A process that was suspended has not read what the nodes have answered meanwhile.
func TestWatchdogSparesWhoItFindsOverdueLate(t *testing.T) {
	for behind, spared := range map[time.Duration]time.Duration{
		time.Hour: time.Second / 4, 20 * time.Millisecond: 20 * time.Millisecond, leastBehind - 1: 0,
	} {
		watched(t, func(t *testing.T, d *watchdog) {
			began, late, next := time.Now(), newWait(), newWait()
			d.watch(late, began.Add(-behind))
			d.watch(next, began.Add(time.Second))
			<-late.done
			require.Equal(t, spared, time.Since(began), behind)
			require.True(t, late.overdue.Load())
			<-next.done
			require.Equal(t, time.Second, time.Since(began), "in time, so at once")
		})
	}
}

func TestWatchdogForgetsWhoWasAnswered(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		waits := []*wait{newWait(), newWait(), newWait()}
		for _, w := range waits {
			d.watch(w, time.Now().Add(time.Second))
		}
		d.forget(waits[0])
		d.forget(waits[1])
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, waits[0].overdue.Load() || waits[1].overdue.Load())
		require.Empty(t, waits[0].done)
		require.True(t, waits[2].overdue.Load())
	})
}

func TestWatchdogRousesEverybodyWithoutEndingTheirWait(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		waits := []*wait{newWait(), newWait()}
		for _, w := range waits {
			d.watch(w, time.Now().Add(time.Second))
		}
		d.rouse()
		for _, w := range waits {
			<-w.done
			require.False(t, w.overdue.Load())
		}
		for _, w := range waits {
			<-w.done
			require.True(t, w.overdue.Load())
		}
	})
}

// What is used again must not get the answer to what it was before.
func TestNothingIsUsedAgainBeforeItsLastAnswer(t *testing.T) {
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		synctest.Wait()
		require.NoError(t, nodes.Node(2).Freeze())
		now := time.Now()
		s := m.newLease("k", m.namesOf("k"), &m.defaults, now)
		r := m.newRound(s, now, now.Add(time.Minute))
		r.ask(t.Context(), now, nil, nil, "")
		require.True(t, r.won())
		require.True(t, r.fence(t.Context()))
		require.True(t, s.begin(r.start, now))
		r.finish(true)
		f := m.sendReleases(s, now, heirs{})
		f.await(t.Context())
		require.NoError(t, f.verdict(s, false))
		f.leave()
		synctest.Wait()
		require.Equal(t, s, r.lease)
		require.True(t, f.left)
		require.NoError(t, nodes.Node(2).Thaw())
		time.Sleep(m.cfg.NodeTimeout)
		synctest.Wait()
		require.Nil(t, r.lease)
		require.False(t, f.left)
		require.Zero(t, r.pending+f.pending)
	})
}
