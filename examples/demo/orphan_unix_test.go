//go:build unix

package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServersEndWithTheirDemo kills a demo that has no chance to end its servers.
func TestServersEndWithTheirDemo(t *testing.T) {
	if os.Getenv("DLM_DEMO_ORPHAN") != "" {
		orphan(t)
	}
	demo := exec.Command(os.Args[0], "-test.run=^TestServersEndWithTheirDemo$")
	demo.Env = append(os.Environ(), "DLM_DEMO_ORPHAN=1")
	out, err := demo.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, demo.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	addrs := strings.Fields(line)
	require.Len(t, addrs, len(frameworks))
	require.NoError(t, demo.Process.Kill())
	require.Error(t, demo.Wait())
	for _, addr := range addrs {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		}, time.Minute, 5*time.Millisecond)
	}
}

// orphan is a demo under load that says where its servers are, and stays.
func orphan(t *testing.T) {
	v := staying(t, false)
	require.True(t, v.audience.enter())
	var addrs []string
	for _, p := range v.fleet.all() {
		addrs = append(addrs, strings.TrimPrefix(p.url, "http://"))
	}
	_, err := os.Stdout.WriteString(strings.Join(addrs, " ") + "\n")
	require.NoError(t, err)
	select {}
}
