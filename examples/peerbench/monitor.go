package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// monitor counts the commands that clients send to a node, those of scripts
// not among them, by MONITOR: exact, and too dear for more than a few.
type monitor struct {
	node *coretest.Node
	conn net.Conn
	done chan int
}

const lastWord = "peerbench-has-seen-enough"

func startMonitor(n *coretest.Node) (*monitor, error) {
	conn, err := net.Dial("unix", n.SocketPath())
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	if _, err := fmt.Fprint(conn, "MONITOR\r\n"); err != nil {
		return nil, err
	}
	if answer, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(answer, "+OK") {
		return nil, fmt.Errorf("MONITOR: %q %w", answer, err)
	}
	m := &monitor{n, conn, make(chan int, 1)}
	go m.count(in)
	return m, nil
}

// count ends at the last word, or with the connection.
func (m *monitor) count(in *bufio.Reader) {
	sent := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil || strings.Contains(line, lastWord) {
			m.done <- sent
			return
		}
		if !strings.Contains(line, " lua] ") {
			sent++
		}
	}
}

func (m *monitor) end(ctx context.Context) (int, error) {
	defer m.conn.Close()
	if err := m.node.Client().Echo(ctx, lastWord).Err(); err != nil {
		return 0, err
	}
	return <-m.done, nil
}
