//go:build unix

package core

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// soakEnv has the test binary run as one of the fighting processes.
const soakEnv = "DLM_SOAK_NODES"

const (
	soakCallers = 4
	soakKeys    = 4
	soakWait    = 2 * time.Second
)

// attemptRecord is one acquisition, told by the process that made it. Times are
// the machine's monotonic clock, the same in every process.
type attemptRecord struct {
	Process, Caller int
	Key             string
	Asked, Returned time.Duration // around Acquire
	Token           uint64        // 0: refused
	Until, Released time.Duration // relied upon from Returned to the earlier of both
	NoQuorum        bool
	Err             string
	Leaked          int // in a process' last record: goroutines left
}

func (r attemptRecord) held() span { return span{r.Returned, min(r.Until, r.Released)} }

// monotonic is CLOCK_MONOTONIC, which processes of one machine share.
func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}

// crew are the processes.
type crew struct {
	t       *testing.T
	cmds    []*exec.Cmd
	stdins  []io.Closer
	reading sync.WaitGroup

	mu      sync.Mutex
	history []attemptRecord // guarded by mu
}

func startCrew(t *testing.T, proxies []*coretest.Proxy) *crew {
	t.Helper()
	urls := make([]string, len(proxies))
	for i, p := range proxies {
		urls[i] = p.URL()
	}
	c := &crew{t: t}
	for i := range soakProcesses {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSoakProcess$", "-test.count=1")
		cmd.Env = append(os.Environ(), soakEnv+"="+strings.Join(urls, ","), fmt.Sprintf("DLM_SOAK_PROCESS=%d", i))
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		c.cmds, c.stdins = append(c.cmds, cmd), append(c.stdins, stdin)
		c.reading.Go(func() { c.read(stdout) })
	}
	return c
}

func (c *crew) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var r attemptRecord
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			c.mu.Lock()
			c.history = append(c.history, r)
			c.mu.Unlock()
		}
	}
}

// finish ends the processes and returns what they told.
func (c *crew) finish() []attemptRecord {
	for _, stdin := range c.stdins {
		_ = stdin.Close() // the sign to stop
	}
	c.reading.Wait()
	for _, cmd := range c.cmds {
		require.NoError(c.t, cmd.Wait())
	}
	return c.history
}

// TestSoakProcess is one of the processes when TestSoak runs it; alone it
// checks that a crew member without nodes says so.
func TestSoakProcess(t *testing.T) {
	nodes := os.Getenv(soakEnv)
	if nodes == "" {
		_, err := soakManager(nil)
		require.ErrorIs(t, err, ErrInvalid)
		return
	}
	before := runtime.NumGoroutine()
	m, err := soakManager(strings.Split(nodes, ","))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	var process int
	_, _ = fmt.Sscan(os.Getenv("DLM_SOAK_PROCESS"), &process)
	out := &recorder{encoder: json.NewEncoder(os.Stdout)}
	var callers sync.WaitGroup
	for caller := range soakCallers {
		callers.Go(func() {
			for i := caller; ctx.Err() == nil; i++ {
				out.put(fight(m, attemptRecord{Process: process, Caller: caller, Key: fmt.Sprintf("soak-%d", i%soakKeys)}))
			}
		})
	}
	callers.Wait()
	require.NoError(t, m.Close())
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, 10*time.Millisecond)
	out.put(attemptRecord{Process: process, Leaked: max(0, runtime.NumGoroutine()-before-1)})
}

func soakManager(nodes []string) (*Manager, error) {
	return New(Config{
		Nodes: nodes, TTL: soakTTL, Wait: soakWait, NodeTimeout: 150 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
}

type recorder struct {
	mu      sync.Mutex
	encoder *json.Encoder // guarded by mu
}

func (r *recorder) put(rec attemptRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.encoder.Encode(rec)
}

// fight takes the lock once, holds it a moment and gives it up.
func fight(m *Manager, r attemptRecord) attemptRecord {
	r.Asked = monotonic()
	l, err := m.Acquire(context.Background(), r.Key)
	r.Returned = monotonic()
	if err != nil {
		r.NoQuorum, r.Err = errors.Is(err, ErrNoQuorum), err.Error()
		return r
	}
	r.Token = l.FencingToken()
	r.Until = monotonic() + time.Until(l.Until())
	r.Released = monotonic() // it is relied upon up to here
	_ = l.Release(context.Background())
	return r
}
