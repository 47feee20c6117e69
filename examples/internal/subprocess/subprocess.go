// Package subprocess lets the test of a program run it in processes of its own:
// the test binary once more, as the program.
package subprocess

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// role is set in the environment of the processes.
const role = "DLM_EXAMPLE_SUBPROCESS"

// patience is how long anything may take on a busy machine.
const patience = 30 * time.Second

// Main is what TestMain calls: main in a process that Start has started, the
// tests otherwise.
func Main(m *testing.M, main func()) {
	if os.Getenv(role) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// Process is the program under test.
type Process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{} // closed when all was read that the process wrote
	wait  func() error

	mu     sync.Mutex
	lines  []string      // of its standard output. Guarded by mu
	more   chan struct{} // closed, and made anew, when lines grows. Guarded by mu
	stderr bytes.Buffer  // read it when the process has ended
}

// Start runs the program with the environment of the test and the arguments.
// What is left of it when the test ends is killed.
func Start(t *testing.T, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), role+"=1")
	p.cmd.Stderr = &p.stderr
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.read(out)
	p.wait = sync.OnceValue(func() error {
		<-p.ended // Wait must not close the pipe before it was read
		return p.cmd.Wait()
	})
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.wait()
	})
	return p
}

func (p *Process) read(out io.Reader) {
	defer close(p.ended)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, scanner.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// Lines are those the process wrote to its standard output so far.
func (p *Process) Lines() []string {
	lines, _ := p.seen()
	return lines
}

func (p *Process) seen() (lines []string, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)], p.more
}

// Await waits for a line that begins with prefix and returns the rest of it.
func (p *Process) Await(prefix string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		lines, more := p.seen()
		for _, line := range lines {
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
		}
		select {
		case <-more:
		case <-p.ended:
			if again, _ := p.seen(); len(again) > len(lines) {
				continue
			}
			_ = p.wait()
			require.FailNow(p.t, "the process ended", "without %q: %q %s", prefix, lines, &p.stderr)
		case <-deadline:
			require.FailNow(p.t, "no such line", "%q: %q", prefix, lines)
		}
	}
}

// Type writes a line to the standard input of the process.
func (p *Process) Type(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.in, line+"\n")
	require.NoError(p.t, err)
}

// Signal sends sig to the process.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// Wait waits for the end of the process and returns what it wrote to its
// standard error. err is nil when it ended with status 0.
func (p *Process) Wait() (stderr string, err error) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.wait() }()
	select {
	case err := <-done:
		return p.stderr.String(), err
	case <-time.After(patience):
		require.FailNow(p.t, "the process does not end")
		return "", nil
	}
}
