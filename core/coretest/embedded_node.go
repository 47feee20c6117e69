package coretest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// An EmbeddedNode is one embedded server, or the place of one that is down.
type EmbeddedNode struct {
	claim  *portClaim  // nil for a node that listens on nothing
	report func(error) // nil outside of tests

	mu     sync.Mutex           // guards what follows
	server *miniredis.Miniredis // the last one started
	gate   *gate                // of that server
	closed bool
}

func startEmbeddedNode() (*EmbeddedNode, error) {
	n := &EmbeddedNode{}
	return n, startOnPort(false, func(claim *portClaim) error {
		n.claim = claim
		return n.Restart()
	})
}

func startPipedNode() (*EmbeddedNode, error) {
	n := &EmbeddedNode{}
	return n, n.Restart()
}

func (n *EmbeddedNode) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	n.stop()
	if n.claim != nil {
		n.claim.release()
	}
	return nil
}

// stop ends the server, if there is one, without an answer to what it was
// asked before. n.mu must be held.
func (n *EmbeddedNode) stop() {
	if n.server == nil {
		return
	}
	n.gate.destroy()
	n.server.Close()
}

// Addr is the node's host:port. It stays the same over restarts, and is empty
// for [Piped] nodes.
func (n *EmbeddedNode) Addr() string {
	if n.claim == nil {
		return ""
	}
	return n.claim.addr()
}

// URL is redis://host:port, or empty for [Piped] nodes.
func (n *EmbeddedNode) URL() string {
	if n.claim == nil {
		return ""
	}
	return "redis://" + n.Addr()
}

// Options are what go-redis needs to reach the node, also after a restart. The
// caller may change all of them but, for [Piped] nodes, the Dialer.
func (n *EmbeddedNode) Options() *redis.Options {
	opts := &redis.Options{
		Addr: n.Addr(),
		// The imitation knows no such commands.
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if n.claim == nil {
		opts.Addr = "piped"
		opts.Dialer = n.dial
	}
	return opts
}

func (n *EmbeddedNode) dial(context.Context, string, string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gate.destroyed() {
		return nil, errors.New("coretest: connection refused: the node is down")
	}
	return n.server.Dial()
}

// Miniredis is the server that was started last, for what this package does not
// offer. A restart replaces it. Its SetError ends [EmbeddedNode.Freeze].
func (n *EmbeddedNode) Miniredis() *miniredis.Miniredis {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server
}

// Kill ends the server: connections break, new ones are refused. Killing a dead
// server does nothing.
func (n *EmbeddedNode) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stop()
	return nil
}

// Restart ends the server if it still runs and starts an empty one in its
// place.
func (n *EmbeddedNode) Restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return n.check("restart", errors.New("the nodes are closed"))
	}
	n.stop()
	return n.check("start", n.launch())
}

func (n *EmbeddedNode) check(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("coretest: %s embedded %s: %w", what, n.Addr(), err)
	if n.report != nil {
		n.report(err)
	}
	return err
}

// launch replaces the server. n.mu must be held.
func (n *EmbeddedNode) launch() error {
	m, g := miniredis.NewMiniRedis(), &gate{}
	m.ClockTTL(true)
	if err := n.listen(m); err != nil {
		return err
	}
	m.Server().SetPreHook(g.hook)
	n.server, n.gate = m, g
	return nil
}

func (n *EmbeddedNode) listen(m *miniredis.Miniredis) error {
	if n.claim != nil {
		return m.StartAddr(n.Addr())
	}
	// There is no other way to start one that listens on nothing.
	conn, err := m.Dial()
	if err != nil {
		return err
	}
	return conn.Close()
}

// Freeze has the server answer nothing, as [Node.Freeze] does.
func (n *EmbeddedNode) Freeze() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate.shut()
	return nil
}

// Thaw lets a frozen server go on: it executes what has come in the meantime.
func (n *EmbeddedNode) Thaw() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gate.open()
	return nil
}

// FastForward brings the end of every TTL nearer by d. The server's own time
// (TIME) stays what it is.
func (n *EmbeddedNode) FastForward(d time.Duration) { n.Miniredis().FastForward(d) }

// Keys lists the keys of database 0 that begin with prefix, in order.
func (n *EmbeddedNode) Keys(prefix string) []string {
	return slices.DeleteFunc(n.Miniredis().Keys(), func(key string) bool {
		return !strings.HasPrefix(key, prefix)
	})
}

// FlushAll empties the node.
func (n *EmbeddedNode) FlushAll() { n.Miniredis().FlushAll() }

// A gate lets commands into a server, keeps them waiting, or swallows them.
// The zero gate is open.
type gate struct {
	mu   sync.Mutex    // guards what follows
	wait chan struct{} // closed to let the waiting on; nil while open
	dead bool
}

// hook is true for a command that must be neither executed nor answered.
func (g *gate) hook(*server.Peer, string, ...string) bool {
	for {
		g.mu.Lock()
		wait, dead := g.wait, g.dead
		g.mu.Unlock()
		if dead || wait == nil {
			return dead
		}
		<-wait
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait == nil {
		g.wait = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait != nil {
		close(g.wait)
		g.wait = nil
	}
}

func (g *gate) destroy() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.open()
}

func (g *gate) destroyed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}
