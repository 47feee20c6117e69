package coretest_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// TestServersDieWithTheirProgram kills a program that has started servers and
// has no chance to take them down.
func TestServersDieWithTheirProgram(t *testing.T) {
	if os.Getenv("CORETEST_ORPHAN") != "" {
		nodes, err := coretest.Start(t.Context(), 2)
		require.NoError(t, err)
		_, err = os.Stdout.WriteString("addrs " + nodes.Node(0).Addr() + " " + nodes.Node(1).Addr() + "\n")
		require.NoError(t, err)
		select {}
	}
	program := exec.Command(os.Args[0], "-test.run=^TestServersDieWithTheirProgram$")
	program.Env = append(os.Environ(), "CORETEST_ORPHAN=1", "TMPDIR="+t.TempDir())
	output, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	addrs := strings.Fields(line)[1:]
	require.Len(t, addrs, 2)
	for _, addr := range addrs {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}

	require.NoError(t, program.Process.Kill())
	require.Error(t, program.Wait())
	for _, addr := range addrs {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				_ = conn.Close()
			}
			return err != nil && strings.Contains(err.Error(), syscall.ECONNREFUSED.Error())
		}, 10*time.Second, 5*time.Millisecond)
	}
}
