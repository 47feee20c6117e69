package core

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// holderNodes tells the test binary that it is the process to be suspended.
const holderNodes = "DLM_TEST_HOLDER_NODES"

// A process that was suspended past its lease sees the loss before it does
// anything else, although none of its timers had a chance to run.
func TestSuspendedProcess(t *testing.T) {
	if urls := os.Getenv(holderNodes); urls != "" {
		holdUntilLost(t, strings.Split(urls, ","))
		return
	}
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	child := exec.Command(os.Args[0], "-test.run=^TestSuspendedProcess$", "-test.count=1")
	child.Env = append(os.Environ(), holderNodes+"="+strings.Join(nodes.URLs(), ","))
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	answers := bufio.NewScanner(stdout)
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Process.Signal(syscall.SIGCONT)
		for answers.Scan() { // until it has gone
		}
		_ = child.Wait()
	})
	ask := func() {
		_, err := fmt.Fprintln(stdin, "may I?")
		require.NoError(t, err)
	}
	answer := func() string {
		require.True(t, answers.Scan(), "%v", answers.Err())
		return answers.Text()
	}
	require.Equal(t, "held", answer())
	ask()
	require.Equal(t, "work", answer())

	require.NoError(t, child.Process.Signal(syscall.SIGSTOP))
	m := managerOn(t, nodes.URLs())
	l, err := m.Acquire(t.Context(), "k", WithWait(patience), WithTTL(time.Minute))
	require.NoError(t, err)
	ask() // it will find the question when it wakes
	require.NoError(t, child.Process.Signal(syscall.SIGCONT))
	require.Equal(t, "lost", answer())
	require.NoError(t, l.Renew(t.Context(), time.Minute))
	require.NoError(t, l.Release(t.Context()))
}

// holdUntilLost answers every line with what it may do.
func holdUntilLost(t *testing.T, urls []string) {
	m := managerOn(t, urls)
	l := hold(t, m, "k", WithTTL(3*time.Second), WithAutoRenew())
	fmt.Println("held")
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		switch {
		case l.Context().Err() == nil:
			fmt.Println("work")
		case context.Cause(l.Context()) == ErrLost: //nolint:errorlint // promised as it is
			fmt.Println("lost")
		default:
			fmt.Println("ended")
		}
	}
}
