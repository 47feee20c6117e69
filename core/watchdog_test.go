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
		d.begin(first, began.Add(time.Second))
		time.Sleep(time.Second / 2)
		d.begin(second, began.Add(3*time.Second/2))
		<-first.done
		require.Equal(t, time.Second, time.Since(began))
		require.True(t, first.overdue())
		require.False(t, second.overdue())
		<-second.done
		require.Equal(t, 3*time.Second/2, time.Since(began))
		require.True(t, second.overdue())
		synctest.Wait()
		require.False(t, d.armed, "nobody waits")
		d.begin(first, time.Now().Add(time.Second))
		require.False(t, first.overdue(), "it waits anew")
		<-first.done
		first.forget() // who was found overdue is forgotten already
		require.False(t, first.overdue())
	})
}

// What is due before those that wait already is not found late for that.
func TestWatchdogEndsAShorterWaitInTime(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		began, long, short, last := time.Now(), newWait(), newWait(), newWait()
		d.begin(long, began.Add(time.Second))
		d.begin(short, began.Add(time.Millisecond))
		d.begin(last, began.Add(time.Second/2))
		<-short.done
		require.Equal(t, time.Millisecond, time.Since(began))
		require.False(t, last.overdue() || long.overdue())
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
			d.begin(late, began.Add(-behind))
			d.begin(next, began.Add(time.Second))
			<-late.done
			require.Equal(t, spared, time.Since(began), behind)
			require.True(t, late.overdue())
			<-next.done
			require.Equal(t, time.Second, time.Since(began), "in time, so at once")
		})
	}
}

func TestWatchdogForgetsWhoWasAnswered(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		waits := []*wait{newWait(), newWait(), newWait()}
		for _, w := range waits {
			d.begin(w, time.Now().Add(time.Second))
		}
		waits[0].forget()
		waits[1].forget()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, waits[0].overdue() || waits[1].overdue())
		require.Empty(t, waits[0].done)
		require.True(t, waits[2].overdue())
	})
}

// One caller after the other waits with the same wait: the end of one is not that of
// the next.
func TestWatchdogEndsTheWaitThatItWasToldOf(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		began, w := time.Now(), newWait()
		d.begin(w, began.Add(time.Second))
		w.forget()
		d.begin(w, began.Add(3*time.Second))
		d.begin(newWait(), began.Add(2*time.Second))
		<-w.done
		require.Equal(t, 3*time.Second, time.Since(began))
		require.True(t, w.overdue())
	})
}

// Waits that were answered take no more room than those that were not.
func TestWatchdogKeepsNoWaitsThatAreOver(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		silent := make([]*wait, 2*fewWaits)
		for i := range silent {
			silent[i] = newWait()
			d.begin(silent[i], time.Now().Add(time.Second))
		}
		for range 100 * fewWaits {
			w := newWait()
			d.begin(w, time.Now().Add(time.Second))
			w.forget()
		}
		d.mu.Lock()
		require.LessOrEqual(t, cap(d.watches), 4*len(silent))
		d.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		for _, w := range silent {
			require.True(t, w.overdue())
		}
	})
}

func TestWatchdogRousesEverybodyWithoutEndingTheirWait(t *testing.T) {
	watched(t, func(t *testing.T, d *watchdog) {
		waits := []*wait{newWait(), newWait()}
		for _, w := range waits {
			d.begin(w, time.Now().Add(time.Second))
		}
		d.rouse()
		for _, w := range waits {
			<-w.done
			require.False(t, w.overdue())
		}
		for _, w := range waits {
			<-w.done
			require.True(t, w.overdue())
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
		require.True(t, r.grants().won)
		require.True(t, r.fence(t.Context(), r.grants()))
		require.True(t, s.begin(r.start, now))
		r.finish(true)
		f := m.sendReleases(s, now, heirs{})
		f.await(t.Context())
		_, err := f.conclude(s, false, heirs{})
		require.NoError(t, err)
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
