package cache_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

var historyTime = flag.Duration("history", 0, "how long TestHistory goes on; one round of faults at least")

// seen is an event of one of the processes.
type seen struct {
	event
	by int
}

// lostMessage is for how long a lost message may count.
const lostMessage = 3 * time.Second

// history is what the processes of a fleet told, and what was done to them.
type history struct {
	t     *testing.T
	nodes *coretest.Nodes // of the locks
	store *coretest.Node
	start fleetConfig
	procs []*process // guarded by nothing: the test's own

	readers sync.WaitGroup
	mu      sync.Mutex
	events  []seen          // guarded by mu
	killed  map[int]int64   // guarded by mu; by process: when
	outages [][2]int64      // guarded by mu; of the store
	stall   time.Duration   // guarded by mu
	told    map[string]bool // guarded by mu; by order: whether a process obeys it
	served  map[int]int64   // guarded by mu; by process: when the last call that got a value began
}

// TestHistory: four processes call and purge while what they stand on fails under
// them. What they saw is compared with what they are promised.
func TestHistory(t *testing.T) {
	t.Parallel()
	nodes, store := coretest.Redis(t, 3), coretest.Redis(t, 1).Node(0)
	h := &history{
		t: t, nodes: nodes, store: store, killed: map[int]int64{}, told: map[string]bool{}, served: map[int]int64{},
		start: fleetConfig{Locks: nodes.URLs(), Store: store.URL(), LockTTL: 2 * time.Second, History: true},
	}
	for range 4 {
		h.join()
	}
	begun := time.Now()
	for round := 0; round == 0 || time.Since(begun) < *historyTime; round++ {
		h.faults(round)
	}
	for _, p := range h.procs {
		_ = p.in.Close()
	}
	h.readers.Wait()
	h.check()
}

// join starts a process and reads what it tells.
func (h *history) join() {
	by := len(h.procs)
	p := startFleet(h.t, 1, h.start)[0]
	h.procs = append(h.procs, p)
	h.readers.Go(func() { h.read(by, p.out) })
}

func (h *history) read(by int, lines *bufio.Scanner) {
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			return // cut short by the kill
		}
		h.mu.Lock()
		h.events = append(h.events, seen{e, by})
		switch e.What {
		case "look":
			if e.Made != nil {
				h.served[by] = max(h.served[by], e.Began)
			}
		case "stall":
			h.stall = max(h.stall, time.Duration(e.End))
		case "hangs", "slow":
			h.told[e.What] = true
		}
		h.mu.Unlock()
	}
}

// faults are a round of them, with time between for the fleet to work.
func (h *history) faults(round int) {
	h.workUntil(time.Now())
	h.killDuringFetch()
	frozen := h.nodes.Node(round % 3)
	require.NoError(h.t, frozen.Freeze())
	h.workUntil(time.Now().Add(h.start.LockTTL))
	require.NoError(h.t, frozen.Thaw())
	h.order("slow", "slow", h.alive()...) // a fetch that ends while the store is frozen
	h.outage(h.store.Freeze, h.store.Thaw, 1500*time.Millisecond)
	h.workUntil(time.Now())
	h.outage(h.store.Kill, h.store.Restart, 500*time.Millisecond) // it comes back empty
	h.awaitListeners()
	h.loseMessages()
	h.workUntil(time.Now().Add(lostMessage + time.Second))
}

// workUntil returns when everybody has got a value in a call from after that moment.
func (h *history) workUntil(at time.Time) {
	require.Eventually(h.t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return !slices.ContainsFunc(h.alive(), func(by int) bool { return h.served[by] <= at.UnixNano() })
	}, patience, 5*time.Millisecond)
}

// awaitListeners returns when everybody has subscribed to the restarted store.
func (h *history) awaitListeners() {
	require.Eventually(h.t, func() bool {
		list, err := h.store.Client().Do(h.t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		return err == nil && strings.Count(list, "\n") >= len(h.alive())
	}, patience, 5*time.Millisecond)
}

// alive are the processes that were not killed.
func (h *history) alive() (all []int) {
	for i := range h.procs {
		if h.killed[i] == 0 {
			all = append(all, i)
		}
	}
	return all
}

// order tells processes something, and waits for one of them to do it.
func (h *history) order(what, told string, to ...int) {
	h.mu.Lock()
	h.told[told] = false
	h.mu.Unlock()
	for _, i := range to {
		_, err := h.procs[i].in.Write([]byte(what + "\n"))
		require.NoError(h.t, err)
	}
	require.Eventually(h.t, func() (ok bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.told[told]
	}, patience, time.Millisecond)
}

// killDuringFetch kills the oldest process while it holds a lock, and replaces it.
func (h *history) killDuringFetch() {
	victim := h.alive()[0]
	h.order("hang", "hangs", victim)
	require.NoError(h.t, h.procs[victim].cmd.Process.Kill())
	_ = h.procs[victim].cmd.Wait()
	h.mu.Lock()
	h.killed[victim] = time.Now().UnixNano()
	h.mu.Unlock()
	h.join()
}

// loseMessages cuts everybody off the channel for as long as a purge takes.
func (h *history) loseMessages() {
	purger := len(h.procs) - 1
	for i := range 50 {
		require.NoError(h.t, h.store.Client().ClientKillByFilter(h.t.Context(), "TYPE", "pubsub").Err())
		if i == 10 {
			_, err := h.procs[purger].in.Write([]byte("purge\n"))
			require.NoError(h.t, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// outage lasts for length, which is what is tested.
func (h *history) outage(begin, end func() error, length time.Duration) {
	from := time.Now().UnixNano()
	require.NoError(h.t, begin())
	time.Sleep(length)
	require.NoError(h.t, end())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outages = append(h.outages, [2]int64{from, time.Now().UnixNano()})
}

func (h *history) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	rounding := 2*time.Millisecond + 2*h.stall
	h.t.Logf("%d events, %d processes, the machine stood still for %v", len(h.events), len(h.procs), h.stall)
	by := map[string][]seen{}
	for _, e := range h.events {
		by[e.What] = append(by[e.What], e)
	}
	h.checkFetches(by)
	h.checkPurges(by["look"], by["purge"], rounding)
	h.checkWaits(by["look"], rounding)
	old := 0
	for _, e := range by["look"] {
		if e.Made != nil && strings.HasPrefix(e.Key, "short") {
			age := time.Duration(e.Began - e.Made.End)
			assert.Less(h.t, age, historyFresh+historyStale+rounding, "%+v", e)
			if age > historyFresh {
				old++
			}
		}
	}
	assert.NotZero(h.t, old, "no stale value was served")
}

// checkFetches: at most one of a key is under way.
func (h *history) checkFetches(by map[string][]seen) {
	ends := map[[2]int64]int64{}
	for _, e := range slices.Concat(by["made"], by["gave up"]) {
		ends[[2]int64{int64(e.by), e.Fetch}] = e.End
	}
	slices.SortFunc(by["fetch"], func(a, b seen) int { return int(a.Began - b.Began) })
	last, cut := map[string]int64{}, 0
	for _, e := range by["fetch"] {
		assert.GreaterOrEqual(h.t, e.Began, last[e.Key], "two fetches under way: %+v", e)
		end, ok := ends[[2]int64{int64(e.by), e.Fetch}]
		if !ok {
			cut++
			end, ok = h.killed[e.by], h.killed[e.by] != 0
			assert.True(h.t, ok, "no end: %+v", e)
		}
		last[e.Key] = max(last[e.Key], end)
	}
	assert.GreaterOrEqual(h.t, cut, len(h.killed))
}

// checkPurges: nobody gets what is older than a purge that is over: for the purging
// process when it returns, for the others when the longest time has passed for which
// a lost message may count.
func (h *history) checkPurges(looks, purges []seen, rounding time.Duration) {
	done, compared := map[string][]seen{}, 0
	for _, p := range purges {
		if p.Err == "" {
			done[p.Key] = append(done[p.Key], p)
		}
	}
	for _, e := range looks {
		if e.Made == nil {
			continue
		}
		for _, p := range slices.Concat(done[e.Key], done[historyTag(e.Key)]) {
			over := p.End
			if p.by != e.by {
				over += int64(lostMessage + rounding + h.outageIn(p.End, e.Began))
			}
			if e.Began < over {
				continue
			}
			compared++
			if !assert.GreaterOrEqual(h.t, e.Made.Began, p.Began, "value of before a purge\n%+v %+v\n%+v", e, e.Made, p) {
				return
			}
		}
	}
	assert.NotZero(h.t, compared)
}

// outageIn is for how long the store could not be asked between two moments.
func (h *history) outageIn(from, to int64) (sum time.Duration) {
	for _, o := range h.outages {
		sum += time.Duration(max(min(o[1], to)-max(o[0], from), 0))
	}
	return sum
}

// checkWaits: a caller leaves when its time is over. Whoever fetches on its own
// goroutine for others, too, has the fetch, two looks and the fill to end.
func (h *history) checkWaits(looks []seen, rounding time.Duration) {
	served := map[int]int{}
	for _, e := range looks {
		limit := historyCall + rounding + 100*time.Millisecond // the machine's
		if e.Inline {
			limit += 4 * historyStore
		}
		assert.LessOrEqual(h.t, time.Duration(e.End-e.Began), limit, "%+v", e)
		if e.Made != nil && len(h.outages) > 0 && e.Began > h.outages[len(h.outages)-1][1] {
			served[e.by]++
		}
	}
	for by := range h.procs {
		if h.killed[by] == 0 {
			assert.NotZero(h.t, served[by], "process %d served nothing after the last outage", by)
		}
	}
}
