//go:build unix

package guard_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

var racesTime = flag.Duration("races", 0, "how long TestRaces goes on; one round of faults at least")

// TestRaces lets processes ask, refresh, validate and purge a few resources while the
// servers under them, and they themselves, are killed, frozen and emptied. What they
// were answered is held against what a purge, a lock and a lifetime are said to be.
func TestRaces(t *testing.T) {
	for name, open := range map[string]func(*races){
		"one store":    func(r *races) { r.store = coretest.Redis(r.t, 1).Node(0) },
		"on the nodes": func(*races) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &races{t: t, nodes: coretest.Redis(t, 3), begun: time.Now()}
			open(r)
			r.start(3)
			pass(raceCalm)
			for r.faults(); time.Since(r.begun) < *racesTime; r.faults() {
				pass(raceHeal)
			}
			r.finish()
		})
	}
}

const (
	raceCalm = time.Second
	// raceHeal is how long a node that has lost its data has no vote.
	raceHeal = raceTTL + 500*time.Millisecond
)

// pass lets time pass for other processes: nothing is waited for.
func pass(d time.Duration) { <-time.After(d) }

// races are the processes, and what is done to them.
type races struct {
	t     *testing.T
	nodes *coretest.Nodes // of the locks
	store *coretest.Node  // nil: the responses are on them too
	begun time.Time
	hurt  *coretest.Node // one of the nodes, in each round another one

	cmds    []*exec.Cmd
	stdins  []io.WriteCloser
	slow    chan int // the process that has begun a slow run
	reading sync.WaitGroup

	mu     sync.Mutex
	events []raceEvent // guarded by mu
	spans  []raceSpan  // guarded by mu
}

func (r *races) start(n int) {
	cfg := raceConfig{Locks: r.nodes.URLs(), Origin: filepath.Join(r.t.TempDir(), "origin")}
	if r.store != nil {
		cfg.Store = r.store.URL()
	}
	task, err := json.Marshal(cfg)
	require.NoError(r.t, err)
	r.slow = make(chan int, 64)
	for by := range n {
		cmd := exec.Command(os.Args[0]) //nolint:gosec // this very program
		cmd.Env = append(os.Environ(), raceTask+"="+string(task))
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		require.NoError(r.t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(r.t, err)
		require.NoError(r.t, cmd.Start())
		r.t.Cleanup(func() { _ = cmd.Process.Kill() }) // also one that is suspended
		lines := bufio.NewScanner(stdout)
		require.True(r.t, lines.Scan())
		r.cmds, r.stdins = append(r.cmds, cmd), append(r.stdins, stdin)
		r.reading.Go(func() { r.read(by, lines) })
	}
}

func (r *races) read(by int, lines *bufio.Scanner) {
	for lines.Scan() {
		e := raceEvent{by: by}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		if e.What == "slow" {
			select {
			case r.slow <- by:
			default:
			}
			continue
		}
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
}

// broken notes a fault, which lasts as long as do.
func (r *races) broken(by int, after time.Duration, do func()) {
	from := machineTime()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, raceSpan{from, machineTime() + int64(after), by})
}

// faults are a round of them, in an order of its own. All of it happens to one node,
// so that there is always a majority to grant the locks.
func (r *races) faults() {
	r.hurt = r.nodes.Node(rand.IntN(r.nodes.Len()))
	all := []func(){r.suspend, r.loseMessages, r.forgetScripts, r.emptyStore, r.freezeStore, r.killStore}
	if r.store != nil {
		all = append(all, func() { freeze(r.hurt) }, func() { kill(r.hurt) })
	}
	for _, i := range rand.Perm(len(all)) {
		all[i]()
		pass(rand.N(200 * time.Millisecond))
	}
}

// victim is what has responses.
func (r *races) victim() *coretest.Node {
	if r.store != nil {
		return r.store
	}
	return r.hurt
}

// suspend stops a process within a slow run, or when that ends, for longer than its
// lock is good for.
func (r *races) suspend() {
	for len(r.slow) > 0 {
		<-r.slow
	}
	_, err := r.stdins[rand.IntN(len(r.stdins))].Write([]byte("slow\n"))
	require.NoError(r.t, err)
	select {
	case by := <-r.slow:
		pass(raceSlow*3/4 + rand.N(raceSlow/2))
		process := r.cmds[by].Process
		r.broken(by, raceLost, func() {
			require.NoError(r.t, process.Signal(syscall.SIGSTOP))
			pass(raceTTL + rand.N(raceTTL/2))
			require.NoError(r.t, process.Signal(syscall.SIGCONT))
		})
	case <-time.After(patience):
		require.Fail(r.t, "no run")
	}
}

// loseMessages cuts everybody off the news, again and again.
func (r *races) loseMessages() {
	r.broken(-2, raceLost, func() {
		for range 20 {
			_ = r.victim().Client().ClientKillByFilter(r.t.Context(), "TYPE", "pubsub").Err()
			pass(rand.N(20 * time.Millisecond))
		}
	})
}

func (r *races) forgetScripts() { _ = r.victim().ScriptFlush() }

func (r *races) emptyStore() { r.broken(-2, raceLost, func() { _ = r.victim().FlushAll() }) }

func (r *races) freezeStore() { r.broken(-1, raceReturn, func() { freeze(r.victim()) }) }

func (r *races) killStore() { r.broken(-1, raceReturn, func() { kill(r.victim()) }) }

func freeze(n *coretest.Node) {
	_ = n.Freeze()
	pass(100*time.Millisecond + rand.N(600*time.Millisecond))
	_ = n.Thaw()
}

func kill(n *coretest.Node) {
	_ = n.Kill()
	pass(rand.N(300 * time.Millisecond))
	_ = n.Restart()
}

// finish ends the processes and judges what they told.
func (r *races) finish() {
	for _, stdin := range r.stdins {
		_ = stdin.Close()
	}
	r.reading.Wait()
	for _, cmd := range r.cmds {
		require.NoError(r.t, cmd.Wait())
	}
	j := &raceJudge{spans: r.spans}
	j.judge(r.events)
	r.t.Log(j)
	require.Empty(r.t, j.wrong)
	require.NotZero(r.t, j.hits)
	require.NotZero(r.t, j.stored)
	require.NotZero(r.t, j.purges)
	require.NotZero(r.t, j.posts)
}
