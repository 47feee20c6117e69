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
	commands  map[string]int64 // calls by command, those of scripts among them
	reads     int64            // read system calls that the servers made for their clients
	serverCPU time.Duration
	clientCPU time.Duration
}

// readCost reads the meters of the nodes that are up. What the reading itself
// costs is taken off again by since.
func readCost(nodes *coretest.Nodes) (cost, error) {
	total := cost{commands: map[string]int64{}, clientCPU: ownCPU()}
	for _, n := range nodes.All() {
		if !n.Alive() {
			continue
		}
		text, err := n.Client().Info(context.Background(), "stats", "cpu", "commandstats").Result()
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
		case strings.HasPrefix(name, "cmdstat_"):
			if _, err := fmt.Sscanf(value, "calls=%d,", &count); err == nil {
				c.commands[strings.TrimPrefix(name, "cmdstat_")] += count
			}
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
	d := cost{
		commands:  map[string]int64{},
		reads:     c.reads - start.reads - int64(nodes), // that of the later question itself
		serverCPU: c.serverCPU - start.serverCPU,
		clientCPU: c.clientCPU - start.clientCPU,
	}
	for name, count := range c.commands {
		d.commands[name] = count - start.commands[name]
	}
	delete(d.commands, "info")
	return d
}

// sent counts the commands that clients sent: all but those that scripts called.
func (c cost) sent(scripted []string) int64 {
	var sum int64
	for _, count := range c.commands {
		sum += count
	}
	for _, name := range scripted {
		sum -= c.commands[name]
	}
	return sum
}

// ownCPU is the time that this process has spent on processors.
func ownCPU() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
