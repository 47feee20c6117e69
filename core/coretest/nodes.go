package coretest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// patience bounds every call to a server.
	patience = 10 * time.Second

	// startPatience bounds the start of a deployment: a loaded machine with a
	// few cores takes seconds where an idle one takes milliseconds.
	startPatience = time.Minute
)

// Nodes are independent redis-server processes. All methods may be called at
// the same time by several goroutines.
type Nodes struct {
	dir       string
	settings  settings
	report    func(error) // nil outside of tests
	authority *authority  // nil without TLS
	nodes     []*Node
}

// Redis starts n independent redis-server processes and takes them down when
// the test ends. It is fatal to the test if they cannot be started, also
// because redis-server is missing: a test that skips itself proves nothing.
func Redis(tb testing.TB, n int, opts ...Option) *Nodes {
	tb.Helper()
	nodes, err := Start(tb.Context(), n, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	adopt(tb, nodes, nodes)
	return nodes
}

// adopt ties what was started to a test: errors are reported there, its end
// is the end of the servers.
func adopt(tb testing.TB, started io.Closer, nodes ...*Nodes) {
	for _, ns := range nodes {
		ns.report = func(err error) { tb.Error(err) }
	}
	tb.Cleanup(func() {
		if err := started.Close(); err != nil {
			tb.Error(err)
		}
	})
}

// Start starts n independent redis-server processes, found through $PATH.
// ctx bounds the start, a minute does too; the servers run until Close. The
// error is [ErrNoServer] where redis-server is not installed.
func Start(ctx context.Context, n int, opts ...Option) (*Nodes, error) {
	return start(ctx, n, newSettings(opts))
}

func start(ctx context.Context, n int, s settings) (*Nodes, error) {
	if n < 1 {
		return nil, fmt.Errorf("coretest: cannot start %d nodes: ask for one or more", n)
	}
	binary, err := serverBinary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "coretest")
	if err != nil {
		return nil, fmt.Errorf("coretest: %w", err)
	}
	ns := &Nodes{dir: dir, settings: s}
	if s.tls {
		if ns.authority, err = newAuthority(dir); err != nil {
			return nil, errors.Join(fmt.Errorf("coretest: %w", err), os.RemoveAll(dir))
		}
	}
	for i := range n {
		ns.nodes = append(ns.nodes, newNode(ns, binary, filepath.Join(dir, strconv.Itoa(i))))
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := ns.each(func(n *Node) error { return n.open(ctx) }); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// each runs do on all nodes at once.
func (ns *Nodes) each(do func(*Node) error) error {
	errs := make([]error, len(ns.nodes))
	var wg sync.WaitGroup
	for i, n := range ns.nodes {
		wg.Go(func() { errs[i] = do(n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close kills the servers and removes what they wrote. It is safe to call twice.
func (ns *Nodes) Close() error {
	return errors.Join(ns.each((*Node).close), os.RemoveAll(ns.dir))
}

// Len is the number of nodes.
func (ns *Nodes) Len() int { return len(ns.nodes) }

// Node is the node with the index i, counted from 0.
func (ns *Nodes) Node(i int) *Node { return ns.nodes[i] }

// All lists the nodes.
func (ns *Nodes) All() []*Node { return append([]*Node(nil), ns.nodes...) }

// URLs lists what a client needs to reach the nodes, password included.
func (ns *Nodes) URLs() []string {
	urls := make([]string, len(ns.nodes))
	for i, n := range ns.nodes {
		urls[i] = n.URL()
	}
	return urls
}

// Clients lists the nodes' own clients, see [Node.Client].
func (ns *Nodes) Clients() []redis.UniversalClient {
	clients := make([]redis.UniversalClient, len(ns.nodes))
	for i, n := range ns.nodes {
		clients[i] = n.Client()
	}
	return clients
}

// TLSConfig trusts the nodes' certificates. It is nil without [WithTLS].
func (ns *Nodes) TLSConfig() *tls.Config {
	if ns.authority == nil {
		return nil
	}
	return ns.authority.clientConfig()
}

// CAFile is the path of the certificate, in PEM, of the authority that signed
// for the nodes; SSL_CERT_FILE takes it. It is empty without [WithTLS].
func (ns *Nodes) CAFile() string {
	if ns.authority == nil {
		return ""
	}
	return ns.authority.caFile
}

// FlushAll empties every node.
func (ns *Nodes) FlushAll() error { return ns.each((*Node).FlushAll) }

// ScriptFlush has every node forget its scripts.
func (ns *Nodes) ScriptFlush() error { return ns.each((*Node).ScriptFlush) }
