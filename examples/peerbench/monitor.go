package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// monitor counts the commands that clients send to a node, those of scripts
// not among them, by MONITOR: exact, whatever the commands are, but at the
// servers' cost, so what is watched is not timed.
type monitor struct {
	node *coretest.Node
	conn net.Conn
	done chan int
}

// monitors watch all nodes that are up.
type monitors []*monitor

func startMonitors(nodes *coretest.Nodes) (all monitors, err error) {
	for _, n := range nodes.All() {
		if !n.Alive() {
			continue
		}
		m, err := startMonitor(n)
		if err != nil {
			return all, errors.Join(err, all.abandon())
		}
		all = append(all, m)
	}
	return all, nil
}

// settling is how long commands may be under way that nobody waits for: those to
// the nodes beyond the majority.
const settling = 20 * time.Millisecond

// end is how many commands all nodes were sent.
func (all monitors) end(ctx context.Context) (float64, error) {
	time.Sleep(settling)
	sent, errs := 0, make([]error, len(all))
	for i, m := range all {
		var n int
		n, errs[i] = m.end(ctx)
		sent += n
	}
	return float64(sent), errors.Join(errs...)
}

func (all monitors) abandon() error {
	var errs []error
	for _, m := range all {
		errs = append(errs, m.conn.Close())
	}
	return errors.Join(errs...)
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
