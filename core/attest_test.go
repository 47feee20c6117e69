package core

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// The quarantine on faked time: that of the clients is the bubble's, that of a
// server can be set besides.

const bubbleTTL = time.Minute

func managerIn(t *testing.T, nodes *coretest.EmbeddedNodes, edit ...func(*Config)) *Manager {
	t.Helper()
	cfg := Config{Clients: namedClients(t, nodes), NodeTimeout: time.Second, TTL: bubbleTTL, Logger: slog.New(slog.DiscardHandler)}
	for _, e := range edit {
		e(&cfg)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = m.Close()
		synctest.Wait() // for what the servers are at
	})
	synctest.Wait()
	return m
}

// amnesia empties node 0 and has m find out: by an acquire that needs its answer, as
// nothing more is asked of a node that answers behind a majority.
func amnesia(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
	t.Helper()
	time.Sleep(2 * foundingTime) // no marker is on its way any more
	nodes.Node(0).FlushAll()
	lock := m.namesOf("found out").lock
	require.NoError(t, nodes.Node(1).Miniredis().Set(lock, "foreign"))
	_, err := m.TryAcquire(t.Context(), "found out")
	require.ErrorIs(t, err, ErrNoQuorum)
	nodes.Node(1).Miniredis().Del(lock)
	synctest.Wait()
	require.Equal(t, nodes.Len()-1, voters(m))
}

// A clock that was wrong when the server started, and is set, says that the data
// were lost long ago.
func TestServerClockEndsNoQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m := managerIn(t, nodes)
		amnesia(t, nodes, m)
		nodes.Node(0).Miniredis().SetTime(time.Now().Add(time.Hour))
		newcomer := managerIn(t, nodes)
		require.Equal(t, 2, voters(newcomer))
		time.Sleep(bubbleTTL - time.Second)
		require.Equal(t, 2, voters(newcomer))
		time.Sleep(time.Second)
		require.Equal(t, 3, voters(newcomer))
	})
}

// The end of a quarantine is known to whoever comes then.
func TestQuarantineEndsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m := managerIn(t, nodes)
		amnesia(t, nodes, m)
		time.Sleep(bubbleTTL + time.Millisecond)
		require.Equal(t, 3, voters(m))
		require.Equal(t, 3, voters(managerIn(t, nodes)))
		amnesia(t, nodes, m) // and the next begins anew
		require.Equal(t, 2, voters(managerIn(t, nodes)))
	})
}

// Processes that live shorter than a quarantine lasts get there together.
func TestQuarantineIsServedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m := managerIn(t, nodes)
		amnesia(t, nodes, m)
		const turn = bubbleTTL / 4
		for range 3 {
			time.Sleep(turn)
			require.Equal(t, 2, voters(m))
			require.NoError(t, m.Close())
			time.Sleep(turn) // with nobody there it does not count
			m = managerIn(t, nodes)
		}
		time.Sleep(turn - time.Second)
		require.Equal(t, 2, voters(m))
		time.Sleep(time.Second + 10*time.Millisecond) // the marker counts milliseconds
		require.Equal(t, 3, voters(m))
	})
}

// The nodes that know the longest lease are silent, so nobody can say when a lease
// that was forgotten is over.
func TestQuarantineWaitsForThoseWhoKnowTheLongestLease(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nodes, silent int
		over          bool // the quarantine ends all the same
	}{{1, 0, true}, {2, 0, true}, {2, 1, false}, {3, 0, true}, {3, 1, false}, {4, 1, true}, {4, 2, false}, {5, 1, true}, {5, 2, false}} {
		synctest.Test(t, func(t *testing.T) {
			nodes := coretest.Piped(t, c.nodes)
			m := managerIn(t, nodes)
			for _, n := range nodes.All()[c.nodes-c.silent:] {
				require.NoError(t, n.Freeze())
			}
			nodes.Node(0).FlushAll()
			l, err := m.TryAcquire(t.Context(), "found out")
			if err == nil {
				require.NoError(t, l.Release(t.Context()))
			}
			time.Sleep(10 * bubbleTTL)
			votes := m.nodes[0].ballot.Load().refusal(time.Now()) == nil
			require.Equal(t, c.over, votes, "%d of %d are silent", c.silent, c.nodes)
			for _, n := range nodes.All() {
				require.NoError(t, n.Thaw())
			}
			time.Sleep(2 * bubbleTTL)
			require.NoError(t, m.nodes[0].ballot.Load().refusal(time.Now()))
		})
	}
}

// A connection that comes and goes does not begin the quarantine anew.
func TestQuarantineIsNotBegunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m := managerIn(t, nodes)
		amnesia(t, nodes, m)
		from := m.nodes[0].ballot.Load().from
		time.Sleep(bubbleTTL / 2)
		m.nodes[0].meetLater(0)
		time.Sleep(time.Millisecond)
		require.Equal(t, from, m.nodes[0].ballot.Load().from)
	})
}

// Whoever cannot ask the others takes the word of a client that could.
func TestQuarantineIsOverForThoseWhoCannotAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		m := managerIn(t, nodes)
		amnesia(t, nodes, m)
		require.NoError(t, nodes.Node(2).Freeze())
		deaf := managerIn(t, nodes)
		require.Error(t, deaf.nodes[0].ballot.Load().refusal(time.Now()))
		time.Sleep(bubbleTTL + 2*meetAgain)
		require.NoError(t, deaf.nodes[0].ballot.Load().refusal(time.Now()))
		require.NoError(t, nodes.Node(2).Thaw())
	})
}

// A quarantine that is lengthened is written down as over when it is.
func TestLengthenedQuarantineIsNotOverEarly(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, nodes *coretest.EmbeddedNodes, m *Manager) {
		n, server := m.nodes[0], nodes.Node(0).Miniredis()
		server.HSet(m.markerKey, "since", "1")
		now := time.Now()
		b := (&ballot{id: n.ballot.Load().id, since: now, lost: 1}).after(time.Minute)
		n.ballot.Store(b)
		n.attestLater(b)
		n.ballot.Store(b.after(time.Hour))
		time.Sleep(time.Hour - 1)
		synctest.Wait()
		require.Equal(t, "1", server.HGet(m.markerKey, "since"))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, "0", server.HGet(m.markerKey, "since"))
	})
}
