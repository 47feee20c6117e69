package coretest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Node is one redis-server process, or the place of one that is down.
type Node struct {
	nodes  *Nodes
	binary string
	dir    string
	client *redis.Client // over the Unix socket, so neither faults of the port nor TLS are in its way

	// password is what clients have to show. The client's pool reads it while mu
	// is held.
	password atomic.Pointer[string]

	mu     sync.Mutex // guards what follows; held while the process starts and ends
	claim  *portClaim // set before the node is handed out, then unchanged
	proc   *process   // nil before the first start
	closed bool
}

func newNode(ns *Nodes, binary, dir string) *Node {
	n := &Node{nodes: ns, binary: binary, dir: dir}
	n.password.Store(&ns.settings.password)
	n.client = redis.NewClient(&redis.Options{
		Network:               "unix",
		Addr:                  n.SocketPath(),
		CredentialsProvider:   n.credentials,
		ContextTimeoutEnabled: true,
		ReadTimeout:           patience,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
	return n
}

// open starts the server for the first time.
func (n *Node) open(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return startOnPort(n.nodes.settings.cluster, func(claim *portClaim) error {
		n.claim = claim
		if err := n.launch(ctx); err != nil {
			return fmt.Errorf("coretest: start %s: %w", n.Addr(), err)
		}
		return nil
	})
}

func (n *Node) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	var err error
	if n.proc != nil {
		err = n.proc.kill()
	}
	if n.claim != nil {
		n.claim.release()
	}
	return errors.Join(err, n.client.Close())
}

// check names what failed, and tells the test.
func (n *Node) check(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("coretest: %s %s: %w", what, n.Addr(), err)
	if n.nodes.report != nil {
		n.nodes.report(err)
	}
	return err
}

// Addr is the node's host:port. It stays the same over restarts.
func (n *Node) Addr() string { return n.claim.addr() }

// Port is the node's TCP port.
func (n *Node) Port() int { return n.claim.port }

// URL is what a client needs to reach the node: redis://127.0.0.1:port, with
// the password if there is one, rediss:// with TLS.
func (n *Node) URL() string {
	u := url.URL{Scheme: "redis", Host: n.Addr()}
	if n.nodes.authority != nil {
		u.Scheme = "rediss"
	}
	if _, password := n.credentials(); password != "" {
		u.User = url.UserPassword("", password)
	}
	return u.String()
}

// SocketPath is the node's Unix socket, where it never speaks TLS.
func (n *Node) SocketPath() string { return filepath.Join(n.dir, "redis.sock") }

// Options are what go-redis needs to reach the node over its port. The caller
// may change them.
func (n *Node) Options() *redis.Options {
	_, password := n.credentials()
	return &redis.Options{Addr: n.Addr(), Password: password, TLSConfig: n.nodes.TLSConfig()}
}

// Client is the node's own client, for arranging and asserting. It goes over
// the Unix socket, past any [Proxy], and is closed with the node.
func (n *Node) Client() *redis.Client { return n.client }

// Log is what the server wrote since it was started last.
func (n *Node) Log() string {
	log, _ := os.ReadFile(n.logPath())
	return string(log)
}

func (n *Node) logPath() string { return filepath.Join(n.dir, "redis.log") }

func (n *Node) credentials() (user, password string) {
	return "", *n.password.Load()
}
