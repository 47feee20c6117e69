package core

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// New waits for nodes that are slow to answer, longer for a majority, and for all of
// a new deployment, than for the rest, and not for ever.
func TestNewWaitsForNodes(t *testing.T) {
	for name, c := range map[string]struct {
		silent       []time.Duration // how long each of three nodes answers nothing
		old, quorum  bool
		least, limit time.Duration
	}{
		"a slow minority":    {[]time.Duration{time.Second / 2, 0, 0}, true, true, time.Second / 2, meetTimeout},
		"a silent minority":  {[]time.Duration{time.Hour, 0, 0}, true, true, meetTimeout, meetTimeout},
		"a new deployment":   {[]time.Duration{2 * time.Second, 0, 0}, false, true, 2 * time.Second, majorityTimeout},
		"less one node":      {[]time.Duration{time.Hour, 0, 0}, false, true, meetTimeout, majorityTimeout},
		"a slow majority":    {[]time.Duration{0, 3 * time.Second / 2, 3 * time.Second / 2}, false, true, 3 * time.Second / 2, majorityTimeout},
		"a silent majority":  {[]time.Duration{0, time.Hour, time.Hour}, false, false, meetTimeout, majorityTimeout},
		"nobody, for a time": {[]time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}, false, true, 2 * time.Second, majorityTimeout},
		"nobody":             {[]time.Duration{time.Hour, time.Hour, time.Hour}, false, false, meetTimeout, majorityTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := coretest.Piped(t, 3)
				if c.old {
					managerIn(t, nodes)
				}
				for i, d := range c.silent {
					if d > 0 {
						require.NoError(t, nodes.Node(i).Freeze())
						time.AfterFunc(d, func() { _ = nodes.Node(i).Thaw() })
					}
				}
				began := time.Now()
				m, err := New(Config{Clients: namedClients(t, nodes), NodeTimeout: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				defer func() { require.NoError(t, m.Close()) }()
				took := time.Since(began)
				require.GreaterOrEqual(t, took, c.least)
				require.LessOrEqual(t, took, c.limit)
				require.Equal(t, c.quorum, voters(m) >= 2)
			})
		})
	}
}

// namedClients gives each of the nodes an address of its own.
func namedClients(t *testing.T, nodes *coretest.EmbeddedNodes) (clients []redis.UniversalClient) {
	for i, n := range nodes.All() {
		opt := n.Options()
		opt.Addr = "piped-" + string(rune('0'+i))
		client := redis.NewClient(opt)
		t.Cleanup(func() { _ = client.Close() })
		clients = append(clients, client)
	}
	return clients
}

// A new deployment is one key on each node; the counters are made when they are
// needed, and begin at the server's clock all the same.
func TestNewDeploymentIsOneKey(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	m := managerOn(t, nodes.URLs())
	for _, n := range nodes.All() {
		keys, err := n.Keys("")
		require.NoError(t, err)
		require.Equal(t, []string{m.markerKey}, keys)
	}
	// As if clients' clocks were a day behind those of the servers, and what a
	// server has forgotten had been numbered by clients with better clocks.
	day := uint64((24 * time.Hour).Microseconds())
	now := time.Now()
	s := m.newLease("k", m.namesOf("k"), &m.defaults, now)
	s.proposed -= day
	r := m.newRound(s, now, now.Add(unhurried))
	r.ask(t.Context(), r.start, nil, nil, "")
	require.True(t, r.grants().won)
	require.True(t, r.fence(t.Context(), r.grants()))
	require.Greater(t, s.token, uint64(time.Now().UnixMicro())-day/2)
	r.finish(false)
	requireGone(t, nodes.All()...)
	counters := 0
	for _, n := range nodes.All() {
		keys, err := n.Keys("")
		require.NoError(t, err)
		require.LessOrEqual(t, len(keys), 2, "%s", strings.Join(keys, " "))
		counters += len(keys) - 1
	}
	require.GreaterOrEqual(t, counters, 2, "one on each node that was needed; who answered late has none yet")
}

// Servers that refuse writes when they are met are named with their reason, and
// used as soon as they accept them.
func TestNewDeploymentThatRefusesWrites(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for _, n := range nodes.All() {
		require.NoError(t, n.FillUp())
	}
	began := time.Now()
	m := managerOn(t, nodes.URLs(), withTTL(time.Second))
	require.Less(t, time.Since(began), tooLate)
	var q *QuorumError
	require.Eventually(t, func() bool {
		_, err := m.TryAcquire(t.Context(), "k")
		require.ErrorAs(t, err, &q)
		return strings.Count(q.Error(), "OOM") >= q.Need
	}, patience, time.Millisecond, "%v", lazily(func() any { return q }))
	for _, n := range nodes.All() {
		require.NoError(t, n.Config("maxmemory", "0"))
	}
	l, err := m.Acquire(t.Context(), "k", WithWait(patience))
	require.NoError(t, err)
	require.NoError(t, l.Release(t.Context()))
	requireVoting(t, m, 3)
}
