package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	// delivery is what an announcement takes at most between two caches of a
	// loaded machine, and more than TTLs are rounded by.
	delivery = 400 * time.Millisecond
)

func (m *made) CachePolicy() cache.Policy {
	return cache.Policy{Fresh: modelFresh, Stale: modelStale, Tags: []string{m.tag}}
}

// model is what a fleet must look like from outside, whatever happens inside.
type model struct {
	t      *testing.T
	caches []*cache.Cache[*made]
	start  time.Time
	flying sync.Map // key → *atomic.Int32: fetches under way in the fleet

	mu     sync.Mutex
	purges map[string][]purge // guarded by mu; by key or tag
}

// purge was under way from began to returned, through one cache.
type purge struct {
	began, returned time.Duration
	by              *cache.Cache[*made]
}

func tagOf(key string) string { return "tag" + key[len(key)-1:] }

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

func (m *model) look(c *cache.Cache[*made], key string) {
	began := time.Since(m.start)
	m.mu.Lock()
	purges := append(append([]purge(nil), m.purges[key]...), m.purges[tagOf(key)]...)
	m.mu.Unlock()
	r, err := c.Do(m.t.Context(), cache.Call[*made]{
		Key: key, Fetch: m.fetch(key), Contention: cache.Contention(1 + rand.IntN(3)),
		Inline: rand.IntN(2) == 0, Force: rand.IntN(50) == 0,
	})
	if !assert.NoError(m.t, err) {
		return
	}
	assert.Equal(m.t, key, r.Value.Key)
	assert.Less(m.t, began-r.Value.Ended, modelFresh+modelStale+delivery, "%s: %v", key, r.State)
	for _, p := range purges {
		seen := p.returned
		if p.by != c {
			seen += delivery
		}
		if began > seen {
			assert.GreaterOrEqual(m.t, r.Value.Began, p.began, "%s: %v value from before a purge that had returned %v earlier", key, r.State, began-p.returned)
		}
	}
}

func (m *model) purge(c *cache.Cache[*made], key string) {
	p := purge{began: time.Since(m.start), by: c}
	what, err := key, error(nil)
	if rand.IntN(3) == 0 {
		what = tagOf(key)
		err = c.InvalidateTag(m.t.Context(), what)
	} else {
		err = c.Invalidate(m.t.Context(), what)
	}
	assert.NoError(m.t, err)
	p.returned = time.Since(m.start)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.purges[what] = append(m.purges[what], p)
}

func TestFleetModel(t *testing.T) {
	m := &model{t: t, start: time.Now(), purges: map[string][]purge{}}
	m.caches = fleet[*made](t, coretest.Redis(t, 3), 4, cache.Config{Fresh: modelFresh, Stale: modelStale, Wait: 30 * time.Second})
	var wg sync.WaitGroup
	var calls atomic.Int64
	for _, c := range m.caches {
		for range 4 {
			wg.Go(func() {
				for time.Since(m.start) < 4*time.Second && !t.Failed() {
					key := fmt.Sprintf("k%d", rand.IntN(6))
					calls.Add(1)
					if rand.IntN(100) == 0 {
						m.purge(c, key)
					} else {
						m.look(c, key)
					}
				}
			})
		}
	}
	wg.Wait()
	var sum cache.Stats
	for _, c := range m.caches {
		s := c.Stats()
		sum.Fetches += s.Fetches
		sum.Stale += s.Stale
		sum.Shared += s.Shared
		sum.Fenced += s.Fenced
		sum.Refreshes += s.Refreshes
		assert.Zero(t, s.Corrupt)
	}
	t.Logf("%d calls, %+v", calls.Load(), sum)
	require.NotZero(t, sum.Fetches)
	require.NotZero(t, sum.Fenced, "the model never met a purge during a fetch")
	require.NotZero(t, sum.Refreshes)
}

// TestCoherenceOverEveryDeployment: announcements come from wherever a key lives.
func TestCoherenceOverEveryDeployment(t *testing.T) {
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
