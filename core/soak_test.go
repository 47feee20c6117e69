//go:build unix

package core

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

var soak = flag.Duration("soak", 8*time.Second, "how long TestSoak runs")

const (
	soakNodes     = 5
	soakProcesses = 3
	soakTTL       = time.Second
)

// TestSoak lets several processes fight for a few keys while the nodes are
// killed, frozen, emptied and cut off, at most a minority at a time, and for a
// while a majority; then it holds what each process wrote down against what a
// lock is.
func TestSoak(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, soakNodes)
	var proxies []*coretest.Proxy
	for _, url := range nodes.URLs() {
		proxies = append(proxies, coretest.ProxyTo(t, url))
	}
	crew, bystander := startCrew(t, proxies), standBy(t)
	f := &faultMaker{t: t, nodes: nodes, proxies: proxies, random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))} //nolint:gosec // printed by its faults
	f.calm()
	f.run(*soak)
	f.outage()
	history := crew.finish()
	r := judge(history, f, bystander.overslept())
	orphans := f.orphans()
	r.orphans = len(orphans)
	t.Log(r)

	require.NotZero(t, r.acquired, "nobody got a lock")
	require.Empty(t, r.overlaps, "two owners")
	require.Empty(t, r.inversions, "tokens step back")
	require.Equal(t, porcupine.Ok, r.linearizable, "no order of the history is that of a lock")
	require.Empty(t, orphans, "keys nobody owns")
	require.Zero(t, r.leaked, "goroutines left")
	require.NotZero(t, r.refusedInOutage, "the outage was not felt")
	if *soak >= time.Minute { // a short run on a busy machine says little about time
		require.GreaterOrEqual(t, r.availability, 0.99)
		require.Empty(t, r.late, "outages: %v", f.outages)
		require.LessOrEqual(t, r.p99, r.healthy*3/2+10*time.Millisecond)
	}
}

// faultMaker breaks the nodes, and knows when a majority was sound.
type faultMaker struct {
	t       *testing.T
	nodes   *coretest.Nodes
	proxies []*coretest.Proxy
	random  *rand.Rand

	healthy span   // before the first fault
	outages []span // when a majority was gone, or not yet sure to be back
	log     []string
}

// span is a stretch of the machine's monotonic clock.
type span struct{ from, to time.Duration }

func (s span) touches(o span) bool { return s.from < o.to && o.from < s.to }

// calm lets the processes work undisturbed, for comparison.
func (f *faultMaker) calm() {
	f.healthy.from = monotonic()
	pass(2 * soakTTL)
	f.healthy.to = monotonic()
}

// run makes faults on a minority until d is over. A node that has lost data is
// in quarantine for the longest TTL, so it counts as hurt until that is over.
func (f *faultMaker) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		hurt := f.random.Perm(soakNodes)[:1+f.random.IntN(soakNodes/2)]
		var heal sync.WaitGroup
		for _, n := range hurt {
			fault := minorityFaults[f.random.IntN(len(minorityFaults))]
			f.log = append(f.log, fmt.Sprintf("%s %d", fault.name, n))
			length := time.Duration(100+f.random.IntN(900)) * time.Millisecond
			heal.Go(func() { fault.run(f, n, length) })
		}
		heal.Wait()
	}
}

// fault hurts node n for about length and returns when it votes again.
type fault struct {
	name string
	run  func(f *faultMaker, n int, length time.Duration)
}

var minorityFaults = []fault{
	{"kill", func(f *faultMaker, n int, length time.Duration) {
		_ = f.nodes.Node(n).Kill()
		pass(length)
		_ = f.nodes.Node(n).Restart()
		pass(quarantine)
	}},
	{"freeze", func(f *faultMaker, n int, length time.Duration) {
		_ = f.nodes.Node(n).Freeze()
		pass(length)
		_ = f.nodes.Node(n).Thaw()
	}},
	{"flush", func(f *faultMaker, n int, _ time.Duration) {
		_ = f.nodes.Node(n).FlushAll()
		pass(quarantine)
	}},
	{"forget scripts", func(f *faultMaker, n int, length time.Duration) {
		_ = f.nodes.Node(n).ScriptFlush()
		pass(length)
	}},
	{"delay", proxied(func(p *coretest.Proxy) { p.Delay(20*time.Millisecond, 30*time.Millisecond) })},
	{"hold", proxied((*coretest.Proxy).Hold)},
	{"half open", proxied((*coretest.Proxy).HalfOpen)},
	{"drop replies", proxied((*coretest.Proxy).DropReplies)},
	{"reset", proxied((*coretest.Proxy).Reset)},
	{"refuse", proxied(func(p *coretest.Proxy) { _ = p.Refuse(); p.Reset() })},
}

// quarantine is the longest TTL, and a margin for INFO's whole seconds.
const quarantine = 2*soakTTL + 500*time.Millisecond

// pass lets time pass for servers outside of this process: the length of a
// fault is what is tested, nothing is waited for.
func pass(d time.Duration) { <-time.After(d) }

func proxied(hurt func(*coretest.Proxy)) func(*faultMaker, int, time.Duration) {
	return func(f *faultMaker, n int, length time.Duration) {
		hurt(f.proxies[n])
		pass(length)
		_ = f.proxies[n].Resume()
	}
}

// outage freezes a majority: no owner may come of it, and everybody is told.
func (f *faultMaker) outage() {
	from := monotonic()
	gone := f.random.Perm(soakNodes)[:soakNodes/2+1]
	for _, n := range gone {
		_ = f.nodes.Node(n).Freeze()
	}
	pass(2 * soakTTL)
	for _, n := range gone {
		_ = f.nodes.Node(n).Thaw()
	}
	pass(soakTTL)
	f.outages = append(f.outages, span{from, monotonic()})
}

// orphans are the lock keys still there 300 ms after everybody has gone.
func (f *faultMaker) orphans() []string {
	pass(300 * time.Millisecond)
	keys, err := f.nodes.Keys("dlm:1:{")
	require.NoError(f.t, err)
	var locks []string
	for _, key := range keys {
		if isLockKey(key) {
			locks = append(locks, key)
		}
	}
	return locks
}
