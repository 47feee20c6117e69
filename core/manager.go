package core

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Manager grants locks on a majority of independent Redis nodes. It is safe for
// concurrent use; a process needs one. Close it.
type Manager struct {
	cfg      Config
	defaults settings
	id       string // this process' name in Redis' queues

	keyBase, markerKey, channelBase string

	nodes     []*node
	keeper    *keeper
	watchdog  *watchdog
	timers    timers
	rounds    sync.Pool     // of *round
	farewells sync.Pool     // of *farewell
	waiters   sync.Pool     // of *waiter
	proposed  atomic.Uint64 // first token of the latest block proposed or seen, see fence.go
	counters  counters
	waiting   atomic.Int64 // callers in the queues of gates

	longest      atomic.Int64              // longest TTL known to be in use
	known        atomic.Bool               // a marker was seen: the deployment is not new
	founded      atomic.Pointer[time.Time] // when the deployment was, if that was seen to be a moment ago
	patienceOver atomic.Bool               // New waits no longer for nodes to be met
	markers      sync.Mutex                // one decision about markers at a time
	progress     signal                    // New has something to look at

	closing chan struct{}      // closed when Close begins
	done    chan struct{}      // closed when Close is over
	stop    context.CancelFunc // ends our goroutines
	ends    sync.WaitGroup     // our goroutines
	calls   sync.WaitGroup     // acquisitions under way; Add under mu while not closed

	mu     sync.Mutex
	closed bool               // guarded by mu
	gates  map[string]*gate   // by key. Guarded by mu
	held   map[*Lock]struct{} // guarded by mu
	ears   map[string]*gate   // gates that want to be woken, by lock name. Guarded by mu
}

const (
	// meetTimeout bounds how long New waits for nodes that neither answer nor
	// refuse, once a majority is there and the deployment is not new.
	meetTimeout = time.Second
	// majorityTimeout bounds how long it waits for that majority, or for all of a new
	// deployment: what is new on a loaded machine takes its time to connect.
	majorityTimeout = 3 * time.Second
	// stragglerTime is what is kept of that for those that come after a late majority,
	// and for marking a new deployment.
	stragglerTime = 500 * time.Millisecond
)

// New connects to the nodes. It fails when the configuration is wrong, naming
// every mistake, or when one server is named twice; a node that cannot be
// reached is used as soon as it can be.
func New(cfg Config) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	list, err := cfg.sources()
	if err != nil {
		return nil, err
	}
	m := newManager(cfg)
	for i, s := range list {
		m.nodes = append(m.nodes, m.newNode(i, s))
	}
	if len(list)%2 == 0 {
		cfg.Logger.Warn("dlm: an even number of nodes tolerates no more failures than one node fewer", "nodes", len(list), "quorum", quorumOf(len(list)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	m.ends.Go(func() { m.keeper.run(ctx) })
	m.ends.Go(func() { m.watchdog.run(ctx) })
	for _, n := range m.nodes {
		n.wire = n.transport()
	}
	for _, n := range m.nodes {
		n.wire.Start()
	}
	m.awaitNodes()
	if a, b := m.twins(); a != nil {
		_ = m.Close()
		return nil, fmt.Errorf("dlm: %w: nodes %s and %s: %w", ErrInvalid, a.name, b.name, errSameServer)
	}
	return m, nil
}

func newManager(cfg Config) *Manager {
	base := cfg.Prefix + ":" + layoutVersion + ":"
	m := &Manager{
		cfg: cfg, defaults: *cfg.defaults(), id: rand.Text(),
		keyBase: base, markerKey: base + "node", channelBase: base + "wake:",
		gates: map[string]*gate{}, held: map[*Lock]struct{}{}, ears: map[string]*gate{},
		progress: make(signal, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	m.keeper, m.watchdog = newKeeper(m), newWatchdog(m.cfg.NodeTimeout)
	m.longest.Store(int64(cfg.TTL))
	return m
}

func (m *Manager) newNode(i int, s source) *node {
	n := &node{index: i, name: s.name, m: m, many: s.client != nil}
	n.ear.init(n)
	if n.many {
		n.pub = s.client
		n.ballot.Store(&ballot{from: time.Now()})
		return n
	}
	opt := *s.options
	// After as many failed dials as its size, a pool starts a goroutine that can
	// outlive its Close by a second.
	opt.PoolSize, opt.MaxRetries, opt.ContextTimeoutEnabled = 256, -1, true
	opt.DialTimeout = m.dialTimeout()
	opt.ReadTimeout, opt.WriteTimeout = m.cfg.NodeTimeout, m.cfg.NodeTimeout // Close waits for a subscription that connects anew
	opt.PushNotificationProcessor = nil                                      // that of a client handed in
	keepQuiet(&opt)
	n.given, n.pub, n.owned, n.opt = s.options, redis.NewClient(&opt), true, &opt
	return n
}

// dialTimeout is longer than an answer takes: TLS and AUTH need round trips.
func (m *Manager) dialTimeout() time.Duration { return max(2*m.cfg.NodeTimeout, meetTimeout) }

func (n *node) transport() wire.Transport {
	if n.many {
		n.tried.Store(true)
		return wire.NewRouted(n.pub)
	}
	dial := wire.Dialer(n.opt, n.m.dialTimeout())
	return wire.NewStream(wire.Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := dial(ctx)
			return conn, redact(err, n.opt)
		},
		Greet:   n.greet,
		Up:      n.up,
		Down:    n.broke,
		Timeout: n.m.cfg.NodeTimeout, DialTimeout: n.m.dialTimeout(),
		Sole: len(n.m.nodes) == 1,
	})
}

func (n *node) up() {
	n.tried.Store(true)
	n.cause.Store(nil)
	n.answered()
	n.payDebts(time.Now())
	n.m.settleMarkers()
	n.m.progress.raise()
}

func (n *node) broke(err error) {
	n.tried.Store(true)
	n.cause.Store(&err)
	n.failed(err)
	n.m.settleMarkers()
	n.m.progress.raise()
}

// awaitNodes returns when every node has been met or has failed, after
// meetTimeout when a majority has markers, and after majorityTimeout in any case.
func (m *Manager) awaitNodes() {
	end := time.Now().Add(majorityTimeout)
	m.awaitProgress(meetTimeout, m.settledNodes)
	// A new deployment would begin with the first that come, and take the next, a
	// moment later, for one that has lost its data.
	switch {
	case !m.majorityMet():
		m.awaitProgress(time.Until(end)-stragglerTime, func() bool { return m.majorityMet() || !m.hopeful() })
		m.awaitProgress(stragglerTime, m.settledNodes)
	case !m.known.Load():
		m.awaitProgress(time.Until(end)-stragglerTime, m.settledNodes)
	}
	m.patienceOver.Store(true)
	m.settleMarkers()
	m.awaitProgress(time.Until(end), func() bool { return m.majorityVotes() || !m.hopeful() })
}

func (m *Manager) majorityMet() bool {
	return m.majority(func(n *node) bool { return n.ballot.Load() != nil })
}

func (m *Manager) majorityVotes() bool {
	now := time.Now()
	return m.majority(func(n *node) bool { return n.ballot.Load().refusal(now) == nil })
}

func (m *Manager) majority(of func(*node) bool) bool {
	count := 0
	for _, n := range m.nodes {
		if of(n) {
			count++
		}
	}
	return count >= quorumOf(len(m.nodes))
}

func (m *Manager) awaitProgress(patience time.Duration, enough func() bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !enough() {
		select {
		case <-m.progress:
		case <-timer.C:
			return
		}
	}
}

// hopeful reports whether a node may be about to vote.
func (m *Manager) hopeful() bool {
	for _, n := range m.nodes {
		b := n.ballot.Load()
		if !n.tried.Load() || b != nil && (b.why == errMarking || b.why == errAsking) && !n.down.Load() { //nolint:errorlint // our own
			return true
		}
	}
	return false
}

// settledNodes reports whether every node was tried and, where a majority is
// here to decide about markers, knows whether it votes.
func (m *Manager) settledNodes() bool {
	met, open := 0, 0
	for _, n := range m.nodes {
		b := n.ballot.Load()
		switch {
		case !n.tried.Load():
			return false
		case b == nil:
			continue
		case b.from.IsZero() && b.why != errSameServer && b.why != errUnheard: //nolint:errorlint // our own
			open++
		}
		met++
	}
	return open == 0 || met < quorumOf(len(m.nodes))
}

// Close releases what is held, ends the waits with ErrClosed and every
// goroutine; later calls say ErrClosed. It takes NodeTimeout at most for nodes
// that do not answer. Calling it again waits for the first call.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		<-m.done
		return nil
	}
	m.closed = true
	close(m.closing)
	m.mu.Unlock()
	m.watchdog.rouse()
	defer close(m.done)

	m.calls.Wait()
	end := time.Now().Add(m.cfg.NodeTimeout)
	err := m.releaseAll()
	m.stop()
	m.ends.Wait()
	for _, n := range m.nodes {
		m.ends.Go(func() { n.close(end) })
	}
	m.ends.Wait()
	return err
}

func (m *Manager) isClosed() bool {
	select {
	case <-m.closing:
		return true
	default:
		return false
	}
}

func (m *Manager) releaseAll() error {
	m.mu.Lock()
	locks := make([]*Lock, 0, len(m.held))
	for l := range m.held {
		locks = append(locks, l)
	}
	m.mu.Unlock()
	var (
		wait sync.WaitGroup
		errs = make([]error, len(locks))
	)
	for i, l := range locks {
		wait.Go(func() { errs[i] = l.Release(context.Background()) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *node) close(end time.Time) {
	n.ear.close()
	n.attestSoFar()
	n.wire.Close(max(time.Until(end), 0))
	if t := n.next.Load(); t != nil {
		t.Stop()
	}
	if n.owned {
		_ = n.pub.Close()
	}
}

// home is the node where a key's waiters queue: the same for every process
// while it answers, the next one otherwise.
func (m *Manager) home(nm names, now time.Time) *node {
	for i := range m.nodes {
		n := m.nodes[(nm.bucket+i)%len(m.nodes)]
		if !n.away(now) {
			return n
		}
	}
	return m.nodes[nm.bucket%len(m.nodes)]
}
