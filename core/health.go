package core

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Health asks every node, NodeTimeout at most, and fails with ErrNoQuorum when
// fewer than a majority can vote.
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

// health asks on a connection of go-redis, with a bound of its own: a stock
// client does not end its socket's wait with the context.
func (n *node) health(ctx context.Context) NodeHealth {
	h := NodeHealth{Node: n.name}
	answer := make(chan NodeHealth, 1)
	blank := h // the goroutine may outlive the wait
	go func() {
		h := blank
		began := time.Now()
		h.Err = redact(n.pub.Ping(ctx).Err(), n.opt)
		h.Latency = time.Since(began)
		if h.Err == nil {
			if text, err := n.pub.Info(ctx).Result(); err == nil {
				h.describe(parseInfo(text))
			}
		}
		answer <- h
	}()
	select {
	case h = <-answer:
	case <-ctx.Done():
		h.Err = fmt.Errorf("no answer: %w", ctx.Err())
	}
	n.vote(&h)
	return h
}

func (h *NodeHealth) describe(f facts) {
	h.Role, h.Version = f.role, f.version
	if f.evicts() {
		h.Eviction = f.eviction
		h.Reason = "may evict lock keys: set maxmemory-policy noeviction"
	}
}

func (n *node) vote(h *NodeHealth) {
	why, cause := n.ballot.Load().refusal(time.Now()), n.cause.Load()
	switch {
	case h.Err != nil:
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
