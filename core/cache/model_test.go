package cache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made is a value that knows when its fetch ran, in time since the model began.
type made struct {
	Key          string
	Began, Ended time.Duration
	tag          string
}

const (
	modelFresh = 200 * time.Millisecond
	modelStale = 500 * time.Millisecond
	rounding   = 2 * time.Millisecond // of TTLs and of what is left of them
)

func (m *made) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: modelFresh, Stale: modelStale, Tags: []string{m.tag}}
}

// model is what a fleet must look like from outside, whatever happens inside and
// however slowly: what it is compared with is what has happened, not a time within
// which things should have.
type model struct {
	t       *testing.T
	members []*modelMember
	start   time.Time
	calls   atomic.Int64
	flying  sync.Map // key → *atomic.Int32: fetches under way in the fleet

	mu     sync.Mutex
	stored map[string]time.Duration // guarded by mu; by value: when it was in the store
	purges map[string][]*modelPurge // guarded by mu; by key or tag
	sent   map[string]*modelPurge   // guarded by mu; by what follows it on the channel
}

// modelMember is a process of the fleet.
type modelMember struct {
	index int
	cache *cache.Cache[*made]
	store *cache.Redis
}

// modelPurge was under way from began on. It was over for each member from a time
// of its own on: for the purging one when it returned, for the others when they
// had heard of it.
type modelPurge struct {
	began time.Duration
	over  []time.Duration // by member; 0: not yet
}

// timed is a Redis whose fills are dated.
type timed struct {
	*cache.Redis
	m *model
}

func (s timed) Set(ctx context.Context, key string, it cache.Item) error {
	err := s.Redis.Set(ctx, key, it)
	var v made
	if json.Unmarshal(it.Value[bytes.IndexByte(it.Value, '{'):], &v) == nil && err == nil {
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		s.m.stored[v.name()] = time.Since(s.m.start)
	}
	return err
}

func (m *made) name() string { return fmt.Sprint(m.Key, m.Began) }

func tagOf(key string) string { return "tag" + key[len(key)-1:] }

func newModel(t *testing.T, nodes *coretest.Nodes, n int) *model {
	m := &model{t: t, start: time.Now(), stored: map[string]time.Duration{}, purges: map[string][]*modelPurge{}, sent: map[string]*modelPurge{}}
	for i := range n {
		x := &modelMember{index: i, store: cache.NewRedis(dial(t, nodes.Node(0).Options()))}
		x.cache = open[*made](t, cache.Config{
			Fresh: modelFresh, Stale: modelStale, Wait: patience, CompressAbove: -1, Locks: manager(t, nodes.Clients()),
			Store: cache.NewTiered(cache.NewMemory(1<<20), timed{x.store, m}),
		})
		t.Cleanup(x.store.Hear(func(lock string) { m.heard(i, lock) }))
		require.Eventually(t, func() bool { return x.cache.Stats().Coherent }, patience, time.Millisecond)
		m.members = append(m.members, x)
	}
	return m
}

func (m *model) fetch(key string) func(context.Context) (*made, error) {
	return func(context.Context) (*made, error) {
		n, _ := m.flying.LoadOrStore(key, new(atomic.Int32))
		assert.EqualValues(m.t, 1, n.(*atomic.Int32).Add(1), "fetches of %s under way", key)
		defer n.(*atomic.Int32).Add(-1)
		v := &made{Key: key, Began: time.Since(m.start), tag: tagOf(key)}
		time.Sleep(rand.N(20 * time.Millisecond)) // the work; nothing waits for a length of time
		v.Ended = time.Since(m.start)
		return v, nil
	}
}

func (m *model) look(x *modelMember, key string) {
	over := m.purgedBefore(x, key)
	began := time.Since(m.start)
	r, err := x.cache.Do(m.t.Context(), cache.Call[*made]{
		Key: key, Fetch: m.fetch(key), Contention: cache.Contention(1 + rand.IntN(3)),
		Inline: rand.IntN(2) == 0, Force: m.replacing() && rand.IntN(50) == 0,
	})
	if !assert.NoError(m.t, err) {
		return
	}
	assert.Equal(m.t, key, r.Value.Key)
	assert.GreaterOrEqual(m.t, r.Value.Began, over, "%s: %v value from before a purge that was over", key, r.State)
	assert.Less(m.t, r.Age, modelFresh+modelStale, "%s: %v", key, r.State)
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.stored[r.Value.name()]; ok {
		assert.Less(m.t, began-at, modelFresh+modelStale+rounding, "%s: %v", key, r.State)
	}
}

// purgedBefore is when the last purge began that is over for a member.
func (m *model) purgedBefore(x *modelMember, key string) (began time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range slices.Concat(m.purges[key], m.purges[tagOf(key)]) {
		if p.over[x.index] != 0 {
			began = max(began, p.began)
		}
	}
	return began
}

func (m *model) purge(x *modelMember, key string) {
	p := &modelPurge{began: time.Since(m.start), over: make([]time.Duration, len(m.members))}
	what, err := key, error(nil)
	if rand.IntN(3) == 0 {
		what = tagOf(key)
		err = x.cache.InvalidateTag(m.t.Context(), what)
	} else {
		err = x.cache.Invalidate(m.t.Context(), what)
	}
	assert.NoError(m.t, err)
	marker := fmt.Sprint("purge", p.began, x.index)
	m.mu.Lock()
	p.over[x.index] = time.Since(m.start)
	m.purges[what] = append(m.purges[what], p)
	m.sent[marker] = p
	m.mu.Unlock()
	for _, lock := range []string{marker, "the marker is with everybody"} {
		assert.NoError(m.t, x.store.Announce(m.t.Context(), lock))
	}
}

func (m *model) heard(member int, marker string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.sent[marker]; p != nil && p.over[member] == 0 {
		p.over[member] = time.Since(m.start)
	}
}

// everywhere reports whether every purge has reached everybody.
func (m *model) everywhere() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.sent {
		if slices.Contains(p.over, 0) {
			return false
		}
	}
	return true
}

func (m *model) stats() (sum cache.Stats) {
	for _, x := range m.members {
		s := x.cache.Stats()
		sum.Fetches += s.Fetches
		sum.Fenced += s.Fenced
		sum.Refreshes += s.Refreshes
		sum.Corrupt += s.Corrupt
	}
	return sum
}

// seenEnough reports whether everything has happened that the model is about.
func (m *model) seenEnough() bool {
	s := m.stats()
	return time.Since(m.start) > 2*time.Second && m.calls.Load() > 1000 && s.Fenced > 0 && s.Refreshes > 0 ||
		time.Since(m.start) > patience
}

// replacing is every other while: in between values live for long enough to become
// stale, however fast the machine is.
func (m *model) replacing() bool { return time.Since(m.start)/(2*modelStale)%2 == 0 }

func TestFleetModel(t *testing.T) {
	t.Parallel()
	m := newModel(t, coretest.Redis(t, 3), 4)
	var wg sync.WaitGroup
	for _, x := range m.members {
		for range 4 {
			wg.Go(func() {
				for !m.seenEnough() && !t.Failed() {
					key := fmt.Sprintf("k%d", rand.IntN(6))
					m.calls.Add(1)
					if m.replacing() && rand.IntN(100) == 0 {
						m.purge(x, key)
					} else {
						m.look(x, key)
					}
				}
			})
		}
	}
	wg.Wait()
	s := m.stats()
	t.Logf("%d calls, %+v", m.calls.Load(), s)
	assert.Zero(t, s.Corrupt)
	assert.NotZero(t, s.Fenced, "the model never met a purge during a fetch")
	assert.NotZero(t, s.Refreshes)
	require.Eventually(t, m.everywhere, patience, time.Millisecond)
}

// TestCoherenceOverEveryDeployment: announcements come from wherever a key lives.
func TestCoherenceOverEveryDeployment(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	for name, connect := range map[string]func() cache.Store{
		"cluster": func() func() cache.Store {
			cluster := coretest.Cluster(t, 3)
			return func() cache.Store { return cache.NewRedis(clusterClient(t, cluster)) }
		}(),
		"ring": func() cache.Store { return cache.NewRedis(ringClient(t, nodes)) },
	} {
		t.Run(name, func(t *testing.T) {
			var caches [2]*cache.Cache[*page]
			for i := range caches {
				caches[i] = open[*page](t, cache.Config{
					Fresh: time.Hour, Locks: manager(t, nodes.Clients()), StoreTimeout: patience,
					Store: cache.NewTiered(cache.NewMemory(1<<20), connect()),
				})
				require.Eventually(t, func() bool { return caches[i].Stats().Coherent }, patience, time.Millisecond)
			}
			a, b := caches[0], caches[1]
			policy := cache.Policy{Fresh: time.Hour, Tags: []string{"all"}}
			for round := range 2 {
				for i := range 20 {
					key, body := fmt.Sprint("k", i), fmt.Sprint(round, i)
					r, err := a.Lookup(t.Context(), key, value(&page{body, policy}))
					require.NoError(t, err)
					require.True(t, r.Stored, "round %d %s: %v %+v", round, key, r.State, a.Stats())
					r, err = b.Lookup(t.Context(), key, value(&page{"fetched again", policy}))
					require.NoError(t, err)
					require.Equal(t, body, r.Value.Body, "round %d %s: %v %+v", round, key, r.State, b.Stats())
				}
				if round == 0 {
					require.NoError(t, a.InvalidateTag(t.Context(), "all"))
				} else {
					for i := range 20 {
						require.NoError(t, a.Invalidate(t.Context(), fmt.Sprint("k", i)))
					}
				}
				for i := range 20 {
					require.Eventually(t, func() bool {
						_, ok := b.Peek(t.Context(), fmt.Sprint("k", i))
						return !ok
					}, patience, time.Millisecond)
				}
			}
		})
	}
}
