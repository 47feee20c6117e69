package coretest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// EmbeddedNodes are independent Redis servers inside this process (miniredis).
// They need nothing installed, and they are an imitation: take [Redis] for
// what must hold on the real one. All methods may be called at the same time
// by several goroutines.
type EmbeddedNodes struct{ nodes []*EmbeddedNode }

// Embedded starts n embedded servers on ports of 127.0.0.1 and takes them down
// when the test ends. Keys expire as time goes by.
func Embedded(tb testing.TB, n int) *EmbeddedNodes {
	tb.Helper()
	return embedded(tb, n, StartEmbedded)
}

// Piped starts n embedded servers that are reached through memory and listen
// on nothing. Inside a [testing/synctest] bubble their clock is the bubble's: a
// key with a TTL of an hour expires when the bubble has slept an hour. They have
// no URL; take [EmbeddedNode.Options] or [EmbeddedNodes.Clients].
//
// Start them inside the bubble. They are taken down when the test ends.
func Piped(tb testing.TB, n int) *EmbeddedNodes {
	tb.Helper()
	return embedded(tb, n, func(n int) (*EmbeddedNodes, error) { return startEmbedded(n, startPipedNode) })
}

func embedded(tb testing.TB, n int, start func(int) (*EmbeddedNodes, error)) *EmbeddedNodes {
	tb.Helper()
	nodes, err := start(n)
	if err != nil {
		tb.Fatal(err)
	}
	for _, node := range nodes.nodes {
		node.report = func(err error) { tb.Error(err) }
	}
	adopt(tb, nodes)
	return nodes
}

// StartEmbedded is [Embedded] for programs that are not tests.
func StartEmbedded(n int) (*EmbeddedNodes, error) { return startEmbedded(n, startEmbeddedNode) }

func startEmbedded(n int, start func() (*EmbeddedNode, error)) (*EmbeddedNodes, error) {
	if n < 1 {
		return nil, fmt.Errorf("coretest: cannot start %d nodes: ask for one or more", n)
	}
	ns := &EmbeddedNodes{}
	for range n {
		node, err := start()
		if err != nil {
			return nil, errors.Join(err, ns.Close())
		}
		ns.nodes = append(ns.nodes, node)
	}
	return ns, nil
}

// Close takes the servers and their clients down. It is safe to call twice.
func (ns *EmbeddedNodes) Close() error {
	var errs []error
	for _, n := range ns.nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}

// Len is the number of nodes.
func (ns *EmbeddedNodes) Len() int { return len(ns.nodes) }

// Node is the node with the index i, counted from 0.
func (ns *EmbeddedNodes) Node(i int) *EmbeddedNode { return ns.nodes[i] }

// All lists the nodes.
func (ns *EmbeddedNodes) All() []*EmbeddedNode { return append([]*EmbeddedNode(nil), ns.nodes...) }

// URLs lists what a client needs to reach the nodes. It is nil for [Piped]
// nodes.
func (ns *EmbeddedNodes) URLs() []string {
	var urls []string
	for _, n := range ns.nodes {
		if url := n.URL(); url != "" {
			urls = append(urls, url)
		}
	}
	return urls
}

// Clients makes a client for each node. The caller closes them.
func (ns *EmbeddedNodes) Clients() []redis.UniversalClient {
	clients := make([]redis.UniversalClient, len(ns.nodes))
	for i, n := range ns.nodes {
		clients[i] = redis.NewClient(n.Options())
	}
	return clients
}
