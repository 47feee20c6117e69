package cache_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
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
	Gates   string   // URL
	LockTTL time.Duration
	Patient bool // see WithPatience
	History bool // work as runHistory says
}

// order asks a process for Callers concurrent lookups of Key.
type order struct {
	Key     string
	Callers int
	Gate    string // the list that the fetch waits for something to come to; "": none
	Purge   bool   // instead
}

type report struct {
	Fetches int
	Values  []string // distinct
	Errors  []string // distinct
}

func runFleetTask(task string) int {
	var cfg fleetConfig
	if err := json.Unmarshal([]byte(task), &cfg); err != nil {
		return 2
	}
	if cfg.History {
		return runHistory(cfg)
	}
	m, closeAll := joinFleet(cfg)
	defer closeAll()
	for !m.cache.Stats().Coherent {
		runtime.Gosched()
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return 2
		}
		answer, _ := json.Marshal(m.obey(o))
		fmt.Println(string(answer))
	}
	return 0
}

// member is what a process of the fleet works with.
type member struct {
	cache *cache.Cache[string]
	gates *redis.Client
	made  atomic.Int64 // values, so that no two are alike
}

func joinFleet(cfg fleetConfig) (*member, func()) {
	locks, err := core.New(core.Config{Nodes: cfg.Locks, Logger: quiet})
	if err != nil {
		panic(err)
	}
	client, gates := dialURL(cfg.Store), dialURL(cfg.Gates)
	config := cache.Config{
		Locks: locks, LockTTL: cfg.LockTTL, Fresh: time.Minute, Wait: patience, StoreTimeout: patience,
		Store: cache.NewTiered(cache.NewMemory(1<<20), cache.NewRedis(client)), Logger: quiet,
	}
	if cfg.Patient {
		config = config.WithPatience(patience)
	}
	c, err := cache.New[string](config)
	if err != nil {
		panic(err)
	}
	return &member{cache: c, gates: gates}, func() {
		_ = c.Close()
		_ = locks.Close()
		_ = client.Close()
		_ = gates.Close()
	}
}

func dialURL(url string) *redis.Client {
	opt, err := redis.ParseURL(url)
	if err != nil {
		panic(err)
	}
	return redis.NewClient(opt)
}

func (m *member) obey(o order) report {
	if o.Purge {
		if err := m.cache.Invalidate(context.Background(), o.Key); err != nil {
			return report{Errors: []string{err.Error()}}
		}
		return report{}
	}
	var (
		fetches atomic.Int32
		mu      sync.Mutex // guards the sets
		values  = map[string]bool{}
		errs    = map[string]bool{}
		wg      sync.WaitGroup
	)
	for range o.Callers {
		wg.Go(func() {
			v, err := m.cache.Get(context.Background(), o.Key, func(ctx context.Context) (string, error) {
				fetches.Add(1)
				return m.fetch(ctx, o.Gate)
			})
			mu.Lock()
			defer mu.Unlock()
			if values[v] = true; err != nil {
				errs[err.Error()] = true
			}
		})
	}
	wg.Wait()
	return report{int(fetches.Load()), slices.Collect(maps.Keys(values)), slices.Collect(maps.Keys(errs))}
}

func (m *member) fetch(ctx context.Context, gate string) (string, error) {
	if gate != "" {
		if err := m.gates.BLPop(ctx, 0, gate).Err(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d/%d", os.Getpid(), m.made.Add(1)), nil
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
	return sumOf(t, procs)
}

func sumOf(t testing.TB, procs []*process) report {
	var sum report
	values := map[string]bool{}
	for _, p := range procs {
		rep := p.receive(t)
		sum.Fetches += rep.Fetches
		sum.Errors = append(sum.Errors, rep.Errors...)
		for _, v := range rep.Values {
			values[v] = true
		}
	}
	sum.Values = slices.Collect(maps.Keys(values))
	return sum
}

// monitor reads the commands that clients send to a node.
type monitor struct {
	t     testing.TB
	node  *coretest.Node
	lines *bufio.Scanner
	sent  map[string]int // by name; without heartbeats and what scripts do
}

func watchCommands(t testing.TB, n *coretest.Node) *monitor {
	conn, err := net.Dial("tcp", n.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	m := &monitor{t: t, node: n, lines: bufio.NewScanner(conn), sent: map[string]int{}}
	require.True(t, m.lines.Scan(), "no answer to MONITOR")
	return m
}

// await reads until clients have sent n commands with the text.
func (m *monitor) await(text string, n int) {
	for n > 0 {
		require.True(m.t, m.lines.Scan(), "%v", m.lines.Err())
		if m.count(m.lines.Text()) && strings.Contains(m.lines.Text(), text) {
			n--
		}
	}
}

// total is how many commands came until now.
func (m *monitor) total() (n int) {
	const end = "that is all"
	require.NoError(m.t, m.node.Client().Echo(m.t.Context(), end).Err())
	m.await(end, 1)
	for _, c := range m.sent {
		n += c
	}
	return n
}

// count takes a line such as: 1700000000.1 [0 127.0.0.1:5] "get" "k", and reports
// whether a client sent it.
func (m *monitor) count(line string) bool {
	_, rest, _ := strings.Cut(line, "[0 ")
	client, command, ok := strings.Cut(rest, "] ")
	if !ok || client == "lua" {
		return false
	}
	name, _, _ := strings.Cut(strings.ToLower(strings.Trim(command, `"`)), `"`)
	heartbeat := name == "ping" || name == "publish" && strings.Contains(command, ":news:")
	if !heartbeat && name != "echo" && name != "hello" { // another connection is no command more
		m.sent[name]++
	}
	return true
}

// TestThousandColdCallersInFourProcesses: what each process needs is known, so the
// bound holds on any machine. The fetch ends when everybody contends, so that
// nobody comes late, and nobody loses patience and queues, at the cost of further
// commands.
//
//	4 ×  look   PTTL, MGET
//	4 ×  claim  SET, ZADD
//	1 ×  look again, fill, release
//	3 ×  look again
//
// That is 22. The first lock of a bucket in a new deployment takes a script more,
// which makes the bucket's fencing counter.
func TestThousandColdCallersInFourProcesses(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2)
	store, gates := nodes.Node(0), nodes.Node(1)
	procs := startFleet(t, 4, fleetConfig{Locks: []string{store.URL()}, Store: store.URL(), Gates: gates.URL(), Patient: true})
	for i, p := range procs { // connections and scripts
		p.send(t, order{Key: fmt.Sprint("warm", i), Callers: 1})
		p.receive(t)
	}
	for round := range 3 {
		key := fmt.Sprint("cold", round)
		m := watchCommands(t, store)
		for _, p := range procs {
			p.send(t, order{Key: key, Callers: 250, Gate: "go"})
		}
		m.await(`"SET" "dlm:1:`, len(procs))
		require.NoError(t, gates.Client().RPush(t.Context(), "go", key).Err())
		rep := sumOf(t, procs)
		assert.Equal(t, 1, rep.Fetches)
		assert.Len(t, rep.Values, 1)
		assert.Empty(t, rep.Errors)
		assert.LessOrEqual(t, m.total(), 23, "%v", m.sent)
		assert.LessOrEqual(t, m.sent["mget"]+m.sent["pttl"], 8)
	}
}

// TestKilledWinnerIsReplaced: how soon is TestDeadHolderIsReplacedWhenItsLeaseEnds.
func TestKilledWinnerIsReplaced(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	procs := startFleet(t, 4, fleetConfig{Locks: nodes.URLs(), Store: nodes.Node(0).URL(), Gates: nodes.Node(0).URL(), LockTTL: 2 * time.Second})
	procs[0].send(t, order{Key: "k", Callers: 10, Gate: "never"})
	locks := manager(t, nodes.Clients())
	require.Eventually(t, func() bool {
		held, err := locks.IsLocked(t.Context(), "cache::k")
		return err == nil && held
	}, patience, time.Millisecond)
	for _, p := range procs[1:] {
		p.send(t, order{Key: "k", Callers: 10})
	}
	require.NoError(t, procs[0].cmd.Process.Kill())
	rep := sumOf(t, procs[1:])
	assert.Equal(t, 1, rep.Fetches)
	assert.Empty(t, rep.Errors)
	assert.Len(t, rep.Values, 1)
}

func TestPurgeReachesTheFleet(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	procs := startFleet(t, 4, fleetConfig{Locks: nodes.URLs(), Store: nodes.Node(0).URL(), Gates: nodes.Node(0).URL()})
	first := ask(t, procs, order{Key: "k", Callers: 5})
	require.Len(t, first.Values, 1)
	procs[0].send(t, order{Key: "k", Purge: true})
	assert.Empty(t, procs[0].receive(t).Errors)
	require.Eventually(t, func() bool {
		again := ask(t, procs, order{Key: "k", Callers: 5})
		return len(again.Values) == 1 && again.Values[0] != first.Values[0]
	}, patience, 10*time.Millisecond)
}
