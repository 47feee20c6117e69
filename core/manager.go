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
	closed bool             // guarded by mu
	gates  map[string]*gate // by key. Guarded by mu
	held   int              // gates with a holder. Guarded by mu
	ears   map[string]*gate // gates that want to be woken, by lock name. Guarded by mu
}

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
	if cfg.waitsTooLong() {
		cfg.Logger.Warn("dlm: NodeTimeout is not below TTL: what nodes grant after as long a wait is over before it can be used: take a shorter NodeTimeout, or a longer TTL", "NodeTimeout", cfg.NodeTimeout, "TTL", cfg.TTL)
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
		gates: map[string]*gate{}, ears: map[string]*gate{},
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
	asking := opt
	asking.Dialer = wire.BareDialer(&opt)
	n.given, n.pub, n.owned, n.opt = s.options, redis.NewClient(&asking), true, &opt
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
