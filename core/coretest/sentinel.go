package coretest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	masterName = "coretest"
	sentinels  = 3
)

// watched is what sentinels are told about a master before they start.
type watched struct {
	port     int
	password string
}

// directives are the lines for a sentinel's configuration, none for nil. A
// master is down for it after half a second without an answer: the default of
// 30 s is not for tests.
func (w *watched) directives() string {
	if w == nil {
		return ""
	}
	var lines strings.Builder
	set := func(directive string, values ...string) {
		fmt.Fprintf(&lines, "sentinel %s %s %s\n", directive, masterName, strings.Join(values, " "))
	}
	set("monitor", host, strconv.Itoa(w.port), strconv.Itoa(sentinels/2+1))
	set("down-after-milliseconds", "500")
	set("failover-timeout", "5000")
	if w.password != "" {
		set("auth-pass", strconv.Quote(w.password))
	}
	return lines.String()
}

// SentinelNodes are a master, its replica and three sentinels that watch them.
type SentinelNodes struct {
	*Nodes // the node that starts as master, and its replica

	watchers *Nodes
	client   *redis.Client
}

// Sentinel starts a master, its replica and three sentinels, and takes them
// down when the test ends. The options are for the master and the replica.
func Sentinel(tb testing.TB, opts ...Option) *SentinelNodes {
	tb.Helper()
	s, err := StartSentinel(tb.Context(), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	adopt(tb, s, s.Nodes, s.watchers)
	return s
}

// StartSentinel is [Sentinel] for programs that are not tests. It returns when
// all sentinels know of each other and of the replica, which takes seconds.
func StartSentinel(ctx context.Context, opts ...Option) (*SentinelNodes, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	settings := newSettings(opts)
	if settings.tls {
		return nil, errors.New("coretest: Sentinel does not do TLS; take Redis or Cluster for it")
	}
	nodes, err := start(ctx, 2, settings)
	if err != nil {
		return nil, err
	}
	s := &SentinelNodes{Nodes: nodes}
	if err := s.watch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("coretest: start sentinels: %w", err), s.Close())
	}
	return s, nil
}

func (s *SentinelNodes) watch(ctx context.Context) error {
	master, replica := s.Node(0), s.Node(1)
	if err := replica.ReplicaOf(master); err != nil {
		return err
	}
	_, password := master.credentials()
	var err error
	s.watchers, err = start(ctx, sentinels, settings{sentinel: &watched{master.Port(), password}})
	if err != nil {
		return err
	}
	s.client = redis.NewFailoverClient(s.Options())
	return s.Settled(ctx)
}

// Close kills the servers and removes what they wrote. It is safe to call twice.
func (s *SentinelNodes) Close() error {
	var errs []error
	if s.client != nil {
		if err := s.client.Close(); !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.watchers != nil {
		errs = append(errs, s.watchers.Close())
	}
	return errors.Join(append(errs, s.Nodes.Close())...)
}

// Sentinels are the three sentinels, to be killed and frozen like other nodes.
func (s *SentinelNodes) Sentinels() *Nodes { return s.watchers }

// MasterName is the name under which the sentinels know the master.
func (s *SentinelNodes) MasterName() string { return masterName }

// Options are what go-redis needs to reach whichever node is the master. The
// caller may change them.
func (s *SentinelNodes) Options() *redis.FailoverOptions {
	_, password := s.Node(0).credentials()
	opts := &redis.FailoverOptions{MasterName: masterName, Password: password}
	for _, w := range s.watchers.nodes {
		opts.SentinelAddrs = append(opts.SentinelAddrs, w.Addr())
	}
	return opts
}

// Client is a client of whichever node is the master, for arranging and
// asserting. It is closed with the nodes.
func (s *SentinelNodes) Client() *redis.Client { return s.client }

// Master is the node that a majority of the sentinels take for the master.
func (s *SentinelNodes) Master() (*Node, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.master(ctx)
}

func (s *SentinelNodes) master(ctx context.Context) (*Node, error) {
	votes := map[int]int{}
	var errs []error
	for _, w := range s.watchers.nodes {
		port, err := s.masterPort(ctx, w)
		votes[port]++
		errs = append(errs, err)
	}
	for _, n := range s.nodes {
		if votes[n.Port()] > sentinels/2 {
			return n, nil
		}
	}
	return nil, errors.Join(append(errs,
		fmt.Errorf("coretest: no majority of the sentinels agrees on a master: votes by port %v", votes))...)
}

// Settled returns when every sentinel knows of the others, and of a replica
// whose link to the master is up; or with ctx.
func (s *SentinelNodes) Settled(ctx context.Context) error {
	return poll(ctx, func() error {
		for _, w := range s.watchers.nodes {
			if err := settled(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func settled(ctx context.Context, w *Node) error {
	if err := w.client.Do(ctx, "SENTINEL", "ckquorum", masterName).Err(); err != nil {
		return err
	}
	others, err := w.client.Do(ctx, "SENTINEL", "sentinels", masterName).Slice()
	if err != nil {
		return err
	}
	if len(others) != sentinels-1 {
		return fmt.Errorf("%s knows of %d other sentinels", w.Addr(), len(others))
	}
	replicas, err := w.client.Do(ctx, "SENTINEL", "replicas", masterName).Slice()
	if err != nil {
		return err
	}
	if len(replicas) != 1 {
		return fmt.Errorf("%s knows of %d replicas", w.Addr(), len(replicas))
	}
	if state := fmt.Sprint(replicas[0]); !strings.Contains(state, "master-link-status:ok") {
		return fmt.Errorf("%s: replica is not ready: %s", w.Addr(), state)
	}
	return nil
}

// Failover has the sentinels promote the replica and returns when they agree
// that it is the master. The old master becomes its replica, up to half a
// minute later: see [SentinelNodes.Settled]. Killing or freezing the master has
// the same effect, after half a second or more.
func (s *SentinelNodes) Failover(ctx context.Context) error {
	old, err := s.master(ctx)
	if err != nil {
		return err
	}
	// On a loaded machine an attempt can fail for want of a replica that was
	// heard of lately, or be given up.
	if err := poll(ctx, func() error { return s.trigger(ctx, old) }); err != nil {
		return fmt.Errorf("coretest: fail over: %w", err)
	}
	return s.AwaitFailover(ctx, old)
}

// trigger is nil when the first sentinel has seen old replaced; until then it
// tells it to do so. It asks that one alone: told while the others lag behind,
// it would promote old again.
func (s *SentinelNodes) trigger(ctx context.Context, old *Node) error {
	port, err := s.masterPort(ctx, s.watchers.nodes[0])
	if err != nil || port != old.Port() {
		return err
	}
	if err := s.watchers.nodes[0].client.Do(ctx, "SENTINEL", "FAILOVER", masterName).Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s is still the master", old.Addr())
}

// masterPort tells the nodes apart by what a sentinel takes for the master.
func (s *SentinelNodes) masterPort(ctx context.Context, watcher *Node) (int, error) {
	addr, err := watcher.client.Do(ctx, "SENTINEL", "get-master-addr-by-name", masterName).StringSlice()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", watcher.Addr(), err)
	}
	if len(addr) != 2 {
		return 0, fmt.Errorf("%s: unexpected address %q", watcher.Addr(), addr)
	}
	return strconv.Atoi(addr[1])
}

// AwaitFailover returns when the sentinels agree on another master than old.
func (s *SentinelNodes) AwaitFailover(ctx context.Context, old *Node) error {
	return poll(ctx, func() error {
		master, err := s.master(ctx)
		if err == nil && master == old {
			err = fmt.Errorf("coretest: %s is still the master", old.Addr())
		}
		return err
	})
}
