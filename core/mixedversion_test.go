package core

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A deployment is met by clients of two versions, as during an update: the elder
// know nothing of when it was founded and of how much of a quarantine was waited.

// elderMeet is meet.lua as it was without "born" and "waited".
const elderMeet = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = now
if tonumber(ARGV[2]) >= 0 then
  since = now - ARGV[2]
end

local marker = redis.call('HMGET', KEYS[1], 'id', 'run', 'since', 'ttl')
local id = marker[1]
if not id then
  if ARGV[3] == '' then
    return {'', 0, now, 0}
  end
  id = ARGV[3]
  if ARGV[4] == 'new' then
    since = 0
  end
  local base = string.format('%.0f', (now - now % ARGV[6]) * 1000 - 1)
  redis.call('HSET', KEYS[1], 'id', id, 'run', ARGV[1], 'since', string.format('%.0f', since), 'ttl', '0', 'base', base)
elseif ARGV[1] ~= '' and marker[2] ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'since', string.format('%.0f', since))
else
  since = tonumber(marker[3])
end

local longest = tonumber(marker[4] or '0')
if tonumber(ARGV[5]) > longest then
  longest = tonumber(ARGV[5])
  redis.call('HSET', KEYS[1], 'ttl', ARGV[5])
end
return {id, since, now, longest}
`

// elder is a client of that version: it counts quarantines by the servers' clocks.
type elder struct {
	t       *testing.T
	names   *Manager // for the names of keys alone
	clients []redis.UniversalClient
	longest time.Duration
	last    uint64 // token seen
}

// elderMarker is what its script says.
type elderMarker struct {
	id         string
	since, now int64
}

func newElder(t *testing.T, nodes *coretest.EmbeddedNodes) *elder {
	names := &Manager{keyBase: "dlm:" + layoutVersion + ":", markerKey: "dlm:" + layoutVersion + ":node"}
	return &elder{t: t, names: names, clients: namedClients(t, nodes), longest: bubbleTTL}
}

func (e *elder) eval(node int, script string, keys []string, args ...any) any {
	e.t.Helper()
	reply, err := e.clients[node].Eval(context.Background(), script, keys, args...).Result()
	require.NoError(e.t, err)
	return reply
}

func (e *elder) meet(node int, runID, newID string, isNew bool) elderMarker {
	uptime, founding := -1, ""
	if runID != "" {
		uptime = 0
	}
	if isNew {
		founding = "new"
	}
	items := e.eval(node, elderMeet, []string{e.names.markerKey}, runID, uptime, newID, founding, e.longest.Milliseconds(), turns).([]any)
	e.longest = max(e.longest, time.Duration(items[3].(int64))*time.Millisecond)
	return elderMarker{items[0].(string), items[1].(int64), items[2].(int64)}
}

// voters are the markers of the nodes that count, by node. It marks those that have
// none, and asks twice: the last may know of the longest lease.
func (e *elder) voters() map[int]string {
	found := make([]elderMarker, len(e.clients))
	known := false
	for i := range e.clients {
		found[i] = e.meet(i, "", "", false)
		known = known || found[i].id != ""
	}
	votes := map[int]string{}
	for i, marker := range found {
		if marker.id == "" {
			marker = e.meet(i, "", rand.Text(), !known)
		}
		if marker.since == 0 || marker.now-marker.since >= e.longest.Milliseconds() {
			votes[i] = marker.id
		}
	}
	return votes
}

// tryAcquire is one round. The token is 0 where it is not granted.
func (e *elder) tryAcquire(key string, ttl time.Duration) (token uint64, release func()) {
	e.longest = max(e.longest, ttl)
	nm, owner := e.names.namesOf(key), rand.Text()
	first := max(uint64(time.Now().UnixMicro())&^(turns-1), e.last+turns)
	given, most := map[int]int64{}, int64(0)
	for i, id := range e.voters() {
		given[i] = e.eval(i, acquireSource, []string{nm.lock, nm.fence, nm.queue, e.names.markerKey},
			owner, ttl.Milliseconds(), strconv.FormatUint(first, 10), strconv.FormatUint(first+turns-1, 10), "0:", "", id).(int64)
		most = max(most, given[i])
		if given[i] <= 0 {
			delete(given, i)
		}
	}
	release = func() {
		for i := range e.clients {
			e.eval(i, releaseSource, []string{nm.lock, nm.queue}, owner, e.names.channelBase, "", "")
		}
	}
	level := 0
	for i, got := range given {
		if got == most || e.raise(i, nm, owner, most) {
			level++
		}
	}
	if level < quorumOf(len(e.clients)) {
		release()
		return 0, release
	}
	e.last = uint64(most)
	return e.last, release
}

func (e *elder) raise(node int, nm names, owner string, token int64) bool {
	id := e.meet(node, "", "", false).id
	return e.eval(node, raiseSource, []string{nm.lock, nm.fence}, owner, token, token+turns-1, id).(int64) == 1
}

func TestVersionsShareADeployment(t *testing.T) {
	for _, founder := range []string{"elder", "manager"} {
		synctest.Test(t, func(t *testing.T) {
			nodes := coretest.Piped(t, 3)
			e := newElder(t, nodes)
			if founder == "elder" {
				require.Len(t, e.voters(), 3)
			}
			m := managerIn(t, nodes)
			require.Equal(t, 3, voters(m))
			require.Len(t, e.voters(), 3)
			last := uint64(0)
			for range 5 {
				l := hold(t, m, "k")
				require.Greater(t, l.FencingToken(), last)
				last = l.FencingToken()
				token, _ := e.tryAcquire("k", bubbleTTL)
				require.Zero(t, token, "a second owner")
				require.NoError(t, l.Release(t.Context()))
				synctest.Wait()

				token, release := e.tryAcquire("k", bubbleTTL)
				require.Greater(t, token, last)
				last = token
				_, err := m.TryAcquire(t.Context(), "k")
				require.ErrorIs(t, err, ErrNotAcquired)
				release()
			}
		})
	}
}

// An elder marks one node after the other, and no marker says that it is about to:
// the rest is taken for nodes that have lost theirs, which costs their votes for a
// while, and nothing else.
func TestFoundingByAnElderIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		e := newElder(t, nodes)
		e.meet(0, "", rand.Text(), true)
		m := managerIn(t, nodes)
		require.Equal(t, 1, voters(m))
		require.Len(t, e.voters(), 1)
		time.Sleep(bubbleTTL + 10*time.Millisecond)
		require.Equal(t, 3, voters(m))
		require.Len(t, e.voters(), 3)
	})
}

// Whoever holds a lease longer than any before, whoever finds out that a node has
// forgotten it, and whoever wants the key then: nobody gets it before the lease is over.
func TestForgottenLeaseAmongVersions(t *testing.T) {
	const ttl = 10 * bubbleTTL
	for _, holder := range []string{"elder", "manager"} {
		for _, finder := range []string{"elder", "manager"} {
			synctest.Test(t, func(t *testing.T) {
				nodes := coretest.Piped(t, 3)
				e, m := newElder(t, nodes), managerIn(t, nodes)
				taken := m.namesOf("k").lock
				require.NoError(t, nodes.Node(2).Miniredis().Set(taken, "somebody's"))
				time.Sleep(2 * foundingTime)
				token, began := uint64(0), time.Now()
				if holder == "elder" {
					token, _ = e.tryAcquire("k", ttl)
				} else {
					token = hold(t, m, "k", WithTTL(ttl)).FencingToken()
				}
				require.Positive(t, token)
				synctest.Wait()
				if finder == "elder" {
					nodes.Node(0).FlushAll()
					require.Len(t, newElder(t, nodes).voters(), 2)
				} else {
					amnesia(t, nodes, m)
				}
				nodes.Node(2).Miniredis().Del(taken)
				later, young := newElder(t, nodes), managerIn(t, nodes)
				for time.Since(began) < ttl-time.Second {
					got, _ := later.tryAcquire("k", bubbleTTL)
					require.Zero(t, got, "a second owner after %v of %v", time.Since(began), ttl)
					_, err := young.TryAcquire(t.Context(), "k")
					require.Error(t, err, "a second owner after %v of %v", time.Since(began), ttl)
					time.Sleep(bubbleTTL / 2)
				}
				time.Sleep(ttl)
				require.Equal(t, 3, voters(young))
				require.Len(t, later.voters(), 3)
				require.Greater(t, hold(t, young, "k").FencingToken(), token)
			})
		}
	}
}

// A restart that an elder finds begins a quarantine of its own: what was waited of
// the one before is not counted.
func TestRestartFoundByAnElder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := coretest.Piped(t, 3)
		e, m := newElder(t, nodes), managerIn(t, nodes)
		amnesia(t, nodes, m)
		time.Sleep(bubbleTTL - time.Second)
		require.NoError(t, m.Close()) // and says how long it has waited
		require.NotEmpty(t, nodes.Node(0).Miniredis().HGet(m.markerKey, "waited"))
		e.meet(0, "another run", "", false)
		m = managerIn(t, nodes)
		time.Sleep(bubbleTTL - time.Second)
		require.Equal(t, 2, voters(m))
		time.Sleep(time.Second + 10*time.Millisecond)
		require.Equal(t, 3, voters(m))
	})
}

// Random leases of both versions on one key, and nodes that forget, one at a time.
func TestHistoryOfVersions(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) { mixedHistory(t, seed) })
	}
}

func mixedHistory(t *testing.T, seed uint64) {
	random := mathrand.New(mathrand.NewPCG(seed, 7)) //nolint:gosec // repeatable, not secret
	nodes := coretest.Piped(t, 3)
	e, m := newElder(t, nodes), managerIn(t, nodes)
	time.Sleep(2 * foundingTime)
	var (
		until   time.Time // of the lease that somebody relies on
		last    uint64
		release = func() {}
		grants  = map[string]int{}
	)
	for step := range 150 {
		ttl := []time.Duration{bubbleTTL / 6, bubbleTTL, 3 * bubbleTTL}[random.IntN(3)]
		by, token, began, let := "elder", uint64(0), time.Now(), func() {}
		if random.IntN(2) == 0 {
			token, let = e.tryAcquire("k", ttl)
		} else if l, err := m.TryAcquire(t.Context(), "k", WithTTL(ttl)); err == nil {
			by, token, let = "manager", l.FencingToken(), func() { _ = l.Release(t.Context()) }
		}
		if token > 0 {
			about := fmt.Sprintf("seed %d, step %d, by %s", seed, step, by)
			require.False(t, began.Before(until), "two owners: %s", about)
			require.Greater(t, token, last, about)
			release() // that of a lease which is over, or was released
			last, until, release = token, began.Add(ttl-ttl/100-2*time.Millisecond), let
			grants[by]++
		}
		if random.IntN(2) == 0 {
			release()
			until = time.Time{}
		}
		time.Sleep(time.Duration(random.Int64N(int64(bubbleTTL / 2))))
		if random.IntN(4) == 0 && voters(m) == 3 && len(e.voters()) == 3 {
			nodes.Node(random.IntN(3)).FlushAll()
		}
	}
	require.Greater(t, grants["elder"], 5)
	require.Greater(t, grants["manager"], 5)
}
