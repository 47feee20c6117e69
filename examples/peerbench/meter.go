package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// cost is what something took of the servers and of this process.
type cost struct {
	reads     int64 // read system calls that the servers made for their clients
	serverCPU time.Duration
	clientCPU time.Duration
}

// readCost reads the meters of the nodes that are up. What the reading itself
// costs is taken off again by since.
func readCost(nodes *coretest.Nodes) (cost, error) {
	total := cost{clientCPU: ownCPU()}
	for _, n := range nodes.All() {
		if !n.Alive() {
			continue
		}
		text, err := n.Client().Info(context.Background(), "stats", "cpu").Result()
		if err != nil {
			return cost{}, fmt.Errorf("meter of %s: %w", n.Addr(), err)
		}
		total.add(text)
	}
	return total, nil
}

func (c *cost) add(info string) {
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		var (
			count   int64
			seconds float64
		)
		switch {
		case name == "total_reads_processed":
			_, _ = fmt.Sscan(value, &count)
			c.reads += count
		case name == "used_cpu_user" || name == "used_cpu_sys":
			_, _ = fmt.Sscan(value, &seconds)
			c.serverCPU += time.Duration(seconds * float64(time.Second))
		}
	}
}

// since is the cost between two readings; c is the later one, which has read
// from so many nodes.
func (c cost) since(start cost, nodes int) cost {
	return cost{
		reads:     c.reads - start.reads - int64(nodes), // that of the later question itself
		serverCPU: c.serverCPU - start.serverCPU,
		clientCPU: c.clientCPU - start.clientCPU,
	}
}

// ownCPU is the time that this process has spent on processors.
func ownCPU() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
