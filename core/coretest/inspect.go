package coretest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Keys lists the node's keys that begin with prefix, in order: what a test that
// looks for orphans wants to see empty. Expired keys are not listed.
func (n *Node) Keys(prefix string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var keys []string
	scan := n.client.Scan(ctx, 0, escapeGlob(prefix)+"*", 1000).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	slices.Sort(keys)
	return slices.Compact(keys), n.check("scan", scan.Err())
}

// Keys lists the keys of all nodes that begin with prefix, each as "host:port
// key".
func (ns *Nodes) Keys(prefix string) ([]string, error) {
	var found []string
	var errs []error
	for _, n := range ns.nodes {
		keys, err := n.Keys(prefix)
		for _, key := range keys {
			found = append(found, n.Addr()+" "+key)
		}
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// escapeGlob has Redis take prefix to the letter.
func escapeGlob(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix)
}

// CommandsProcessed counts the commands the server took from clients since it
// was started, this question not yet among them; those a script calls count too.
func (n *Node) CommandsProcessed() (int64, error) {
	return n.info("stats", "total_commands_processed")
}

// Connections counts the clients that are connected now, [Node.Client]'s own
// among them.
func (n *Node) Connections() (int64, error) {
	return n.info("clients", "connected_clients")
}

// ConnectionsReceived counts the connections accepted since the server was
// started.
func (n *Node) ConnectionsReceived() (int64, error) {
	return n.info("stats", "total_connections_received")
}

func (n *Node) info(section, field string) (int64, error) {
	fields, err := n.infoFields(section)
	if err != nil {
		return 0, n.check("info "+section, err)
	}
	number, err := strconv.ParseInt(fields[field], 10, 64)
	return number, n.check("info "+section, err)
}

// CommandCalls counts the calls of each command since the server was started
// or [Node.ResetCommandCalls], in lower case, subcommands as "client|setinfo".
func (n *Node) CommandCalls() (map[string]int64, error) {
	fields, err := n.infoFields("commandstats")
	if err != nil {
		return nil, n.check("info commandstats", err)
	}
	calls := make(map[string]int64, len(fields))
	for name, stats := range fields {
		var count int64
		if _, err := fmt.Sscanf(stats, "calls=%d,", &count); err != nil {
			return nil, n.check("info commandstats", fmt.Errorf("%q: %w", stats, err))
		}
		calls[strings.TrimPrefix(name, "cmdstat_")] = count
	}
	return calls, nil
}

// ResetCommandCalls sets the counters of the server to 0 (CONFIG RESETSTAT).
func (n *Node) ResetCommandCalls() error {
	_, err := n.do("config resetstat", "CONFIG", "RESETSTAT")
	return err
}

func (n *Node) infoFields(section string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := n.client.Info(ctx, section).Result()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), ":"); found {
			fields[name] = value
		}
	}
	return fields, lines.Err()
}
