package cache_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fleetTask tells a re-executed test binary what to be. It reads one order per
// line from its input and answers each with one line.
const fleetTask = "DLM_CACHE_FLEET_TASK"

type fleetConfig struct {
	Locks   []string // URLs
	Store   string   // URL
	LockTTL time.Duration
}

// order asks a process for Callers concurrent lookups of Key.
type order struct {
	Key     string
	Callers int
	Takes   time.Duration // by the fetch
	Purge   bool          // instead
}

type report struct {
	Fetches int
	Values  []string // distinct
	Errors  []string // distinct
	Slowest time.Duration
}

func runFleetTask(task string) int {
	var cfg fleetConfig
	if err := json.Unmarshal([]byte(task), &cfg); err != nil {
		return 2
	}
	c, closeAll := fleetProcess(cfg)
	defer closeAll()
	for !c.Stats().Coherent {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return 2
		}
		answer, _ := json.Marshal(obey(c, o))
		fmt.Println(string(answer))
	}
	return 0
}

func fleetProcess(cfg fleetConfig) (*cache.Cache[string], func()) {
	locks, err := core.New(core.Config{Nodes: cfg.Locks, Logger: quiet})
	if err != nil {
		panic(err)
	}
	opt, err := redis.ParseURL(cfg.Store)
	if err != nil {
		panic(err)
	}
	client := redis.NewClient(opt)
	c, err := cache.New[string](cache.Config{
		Locks: locks, LockTTL: cfg.LockTTL, Fresh: time.Minute, Wait: patience, StoreTimeout: patience,
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)), Logger: quiet,
	})
	if err != nil {
		panic(err)
	}
	return c, func() { _ = c.Close(); _ = locks.Close(); _ = client.Close() }
}

// valuesMade numbers the values of a process, so that no two are alike.
var valuesMade atomic.Int64

func obey(c *cache.Cache[string], o order) report {
	var (
		rep    report
		mu     sync.Mutex // guards rep and the sets
		values = map[string]bool{}
		errs   = map[string]bool{}
		wg     sync.WaitGroup
	)
	if o.Purge {
		if err := c.Invalidate(context.Background(), o.Key); err != nil {
			rep.Errors = []string{err.Error()}
		}
		return rep
	}
	begun := time.Now()
	for range o.Callers {
		wg.Go(func() {
			v, err := c.Get(context.Background(), o.Key, func(context.Context) (string, error) {
				mu.Lock()
				rep.Fetches++
				mu.Unlock()
				time.Sleep(o.Takes)
				return fmt.Sprintf("%d/%d", os.Getpid(), valuesMade.Add(1)), nil
			})
			mu.Lock()
			defer mu.Unlock()
			rep.Slowest = max(rep.Slowest, time.Since(begun))
			if values[v] = true; err != nil {
				errs[err.Error()] = true
			}
		})
	}
	wg.Wait()
	for v := range values {
		rep.Values = append(rep.Values, v)
	}
	for e := range errs {
		rep.Errors = append(rep.Errors, e)
	}
	return rep
}

// process is another member of the fleet.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startFleet(t testing.TB, n int, cfg fleetConfig) []*process {
	task, err := json.Marshal(cfg)
	require.NoError(t, err)
	procs := make([]*process, n)
	for i := range procs {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fleetTask+"="+string(task))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Wait() // one that was killed says so
		})
		procs[i] = &process{cmd, in, bufio.NewScanner(out)}
	}
	for _, p := range procs {
		require.True(t, p.out.Scan())
		require.Equal(t, "ready", p.out.Text())
	}
	return procs
}

func (p *process) send(t testing.TB, o order) {
	line, err := json.Marshal(o)
	require.NoError(t, err)
	_, err = p.in.Write(append(line, '\n'))
	require.NoError(t, err)
}

func (p *process) receive(t testing.TB) (rep report) {
	require.True(t, p.out.Scan(), "the process ended")
	require.NoError(t, json.Unmarshal(p.out.Bytes(), &rep))
	return rep
}

// ask gives every process the same order and adds their reports up.
func ask(t testing.TB, procs []*process, o order) report {
	for _, p := range procs {
		p.send(t, o)
	}
	var sum report
	values := map[string]bool{}
	for _, p := range procs {
		rep := p.receive(t)
		sum.Fetches += rep.Fetches
		sum.Errors = append(sum.Errors, rep.Errors...)
		sum.Slowest = max(sum.Slowest, rep.Slowest)
		for _, v := range rep.Values {
			values[v] = true
		}
	}
	for v := range values {
		sum.Values = append(sum.Values, v)
	}
	return sum
}

// monitored counts the commands that clients send to a node while do runs, by
// name, with heartbeats left out; scripted are those that scripts made of them.
func monitored(t testing.TB, n *coretest.Node, do func()) (sent map[string]int, total, scripted int) {
	conn, err := net.Dial("tcp", n.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	lines := bufio.NewScanner(conn)
	require.True(t, lines.Scan(), "no answer to MONITOR")
	do()
	require.NoError(t, n.Client().Echo(t.Context(), "the end").Err())
	sent = map[string]int{}
	for lines.Scan() && !strings.Contains(lines.Text(), "the end") {
		count(lines.Text(), sent, &scripted)
	}
	require.NoError(t, lines.Err())
	for _, c := range sent {
		total += c
	}
	return sent, total, scripted
}

// count reads a line such as: 1700000000.1 [0 127.0.0.1:5] "get" "k"
func count(line string, sent map[string]int, scripted *int) {
	_, rest, ok := strings.Cut(line, "[0 ")
	client, command, ok2 := strings.Cut(rest, "] ")
	if !ok || !ok2 {
		return
	}
	name := strings.ToLower(strings.Trim(strings.Fields(command)[0], `"`))
	switch {
	case client == "lua":
		*scripted++
	case name != "ping" && name != "echo":
		sent[name]++
	}
}

func TestThousandColdCallersInFourProcesses(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	procs := startFleet(t, 4, fleetConfig{Locks: nodes.URLs(), Store: nodes.Node(0).URL()})
	ask(t, procs, order{Key: "warm the connections and scripts", Callers: 1})
	for round := range 3 {
		const takes = 500 * time.Millisecond
		var rep report
		sent, total, scripted := monitored(t, nodes.Node(0), func() {
			rep = ask(t, procs, order{Key: fmt.Sprint("cold", round), Callers: 250, Takes: takes})
		})
		t.Logf("slowest caller %.3f × the fetch; %d commands sent %v, which made %d in scripts",
			float64(rep.Slowest)/float64(takes), total, sent, scripted)
		assert.Equal(t, 1, rep.Fetches)
		assert.Len(t, rep.Values, 1)
		assert.Empty(t, rep.Errors)
		// A process that meets the lock for the first time claims it with two
		// commands, SET and ZADD; each of the four looks and claims once or twice.
		assert.LessOrEqual(t, total, 32)
		assert.Less(t, rep.Slowest, takes+time.Second, "those who were not told of the fill would have queued first")
	}
}

func TestKilledWinnerIsReplacedWithinItsLease(t *testing.T) {
	nodes := coretest.Redis(t, 3)
	const lease = 2 * time.Second
	procs := startFleet(t, 4, fleetConfig{Locks: nodes.URLs(), Store: nodes.Node(0).URL(), LockTTL: lease})
	procs[0].send(t, order{Key: "k", Callers: 10, Takes: time.Hour})
	locks := manager(t, nodes.Clients())
	require.Eventually(t, func() bool {
		held, err := locks.IsLocked(t.Context(), "cache::k")
		return err == nil && held
	}, patience, time.Millisecond)
	for _, p := range procs[1:] {
		p.send(t, order{Key: "k", Callers: 10, Takes: 10 * time.Millisecond})
	}
	require.NoError(t, procs[0].cmd.Process.Kill())
	killed := time.Now()
	fetches := 0
	for _, p := range procs[1:] {
		rep := p.receive(t)
		fetches += rep.Fetches
		assert.Empty(t, rep.Errors)
		assert.Len(t, rep.Values, 1)
	}
	assert.Equal(t, 1, fetches)
	assert.Less(t, time.Since(killed), lease+patience)
}

func TestPurgeReachesTheFleet(t *testing.T) {
	nodes := coretest.Redis(t, 1)
	procs := startFleet(t, 4, fleetConfig{Locks: nodes.URLs(), Store: nodes.Node(0).URL()})
	first := ask(t, procs, order{Key: "k", Callers: 5})
	require.Len(t, first.Values, 1)
	procs[0].send(t, order{Key: "k", Purge: true})
	assert.Empty(t, procs[0].receive(t).Errors)
	require.Eventually(t, func() bool {
		again := ask(t, procs, order{Key: "k", Callers: 5})
		return len(again.Values) == 1 && again.Values[0] != first.Values[0]
	}, 20*time.Second, 10*time.Millisecond)
	assert.False(t, strings.HasPrefix(first.Values[0], "0/"))
}
