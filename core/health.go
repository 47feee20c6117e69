package core

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Health asks every node, NodeTimeout at most.
//
// ErrNoQuorum, beside what the nodes said: fewer than a majority can vote. ErrClosed.
func (m *Manager) Health(ctx context.Context) (Health, error) {
	if m.isClosed() {
		return Health{}, lockError(opHealth, "", ErrClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.NodeTimeout)
	defer cancel()
	h := Health{Quorum: quorumOf(len(m.nodes)), Nodes: make([]NodeHealth, len(m.nodes))}
	var wait sync.WaitGroup
	for i, n := range m.nodes {
		wait.Go(func() { h.Nodes[i] = n.health(ctx) })
	}
	wait.Wait()
	var bad []NodeError
	for _, n := range h.Nodes {
		switch {
		case n.Voting:
			h.Voting++
		case n.Err != nil:
			bad = append(bad, NodeError{n.Node, n.Err})
		}
	}
	if h.Voting < h.Quorum {
		return h, lockError(opHealth, "", &QuorumError{Need: h.Quorum, Got: h.Voting, Nodes: bad})
	}
	return h, nil
}

// health has a bound of its own: a stock client does not end its socket's wait with
// the context, so the goroutine may outlive this one's by the client's timeouts.
func (n *node) health(ctx context.Context) NodeHealth {
	answer := make(chan NodeHealth, 1)
	go func() { answer <- n.probe(ctx) }()
	var h NodeHealth
	select {
	case h = <-answer:
	case <-ctx.Done():
		h = NodeHealth{Node: n.name, Err: fmt.Errorf("no answer: %w", ctx.Err())}
	}
	n.vote(&h)
	return h
}

// probe asks on a connection of go-redis, which has nothing else in flight.
func (n *node) probe(ctx context.Context) NodeHealth {
	began := time.Now()
	err := redact(n.pub.Ping(ctx).Err(), n.opt)
	h := NodeHealth{Node: n.name, Latency: time.Since(began), Err: err}
	if err == nil {
		if text, err := n.pub.Info(ctx).Result(); err == nil {
			h.describe(parseInfo(text))
		}
	}
	return h
}

func (h *NodeHealth) describe(f facts) {
	h.Role, h.Version = f.role, f.version
	if f.evicts() {
		h.Eviction = f.eviction
		h.Reason = "may evict lock keys: set maxmemory-policy noeviction"
	}
}

// vote says whether the node's answers count, and otherwise why not.
func (n *node) vote(h *NodeHealth) {
	why, cause := n.ballot.Load().refusal(time.Now()), n.cause.Load()
	switch {
	case h.Err != nil:
		h.Err = n.explain(h.Err)
	case h.Role == "slave":
		h.Err = errReplica
	case why != nil:
		h.Err = n.explain(why)
	case cause != nil: // what the ballot says is said of the server that was there before
		h.Err = *cause
	}
	h.Voting = h.Err == nil
	if h.Err != nil {
		h.Reason = h.Err.Error()
	}
}
