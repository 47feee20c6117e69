package core

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Manager grants locks on a majority of independent Redis nodes.
// It is safe for concurrent use.
type Manager struct {
	cfg     Config
	keyBase string
	clients []redis.UniversalClient
	owned   []redis.UniversalClient
	token   atomic.Uint64
	closed  atomic.Bool
	mu      sync.Mutex
	held    map[*Lock]struct{}
}

// Lock is a granted lock.
type Lock struct {
	m      *Manager
	key    string
	owner  string
	token  uint64
	at     time.Time
	mu     sync.Mutex
	until  time.Time
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   chan struct{}
	once   sync.Once
	err    error
	meta   string
}

// New connects to the nodes.
func New(cfg Config) (*Manager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	srcs, err := cfg.sources()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, keyBase: cfg.Prefix + ":" + layoutVersion + ":", held: map[*Lock]struct{}{}}
	for _, s := range srcs {
		if s.client != nil {
			m.clients = append(m.clients, s.client)
			continue
		}
		c := redis.NewClient(s.options)
		m.clients = append(m.clients, c)
		m.owned = append(m.owned, c)
	}
	return m, nil
}

var spineDel = redis.NewScript(`if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0`)
var spineExt = redis.NewScript(`if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0`)

func (m *Manager) each(ctx context.Context, f func(context.Context, redis.UniversalClient) bool) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.NodeTimeout)
	defer cancel()
	ch := make(chan bool, len(m.clients))
	for _, c := range m.clients {
		go func() { ch <- f(ctx, c) }()
	}
	n := 0
	for range m.clients {
		if <-ch {
			n++
		}
	}
	return n
}

// TryAcquire is one round.
func (m *Manager) TryAcquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	return m.Acquire(ctx, key, append(opts, WithWait(0))...)
}

// Acquire waits.
func (m *Manager) Acquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	s := m.cfg.settings()
	for _, o := range opts {
		o(s)
	}
	if s.maxHold == 0 {
		s.maxHold = 10 * s.ttl
	}
	if key == "" {
		return nil, lockError("acquire", key, ErrInvalid)
	}
	if l, ok := FromContext(ctx); ok && l.key == key {
		return nil, lockError("acquire", key, ErrDeadlock)
	}
	end := time.Now().Add(s.wait)
	owner := rand.Text()
	name := m.namesOf(key).lock
	for {
		if m.closed.Load() {
			return nil, lockError("acquire", key, ErrClosed)
		}
		if ctx.Err() != nil {
			return nil, lockError("acquire", key, ErrTimeout, ctx.Err())
		}
		start := time.Now()
		var errs atomic.Int32
		n := m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool {
			err := c.SetArgs(ctx, name, owner, redis.SetArgs{Mode: "NX", TTL: s.ttl}).Err()
			if err != nil && err != redis.Nil {
				errs.Add(1)
			}
			return err == nil
		})
		if n >= m.quorum() {
			l := &Lock{m: m, key: key, owner: owner, token: uint64(time.Now().UnixMicro()), at: start, until: start.Add(s.ttl - driftOf(s.ttl, m.cfg.DriftFactor)), stop: make(chan struct{}), meta: s.metadata}
			l.ctx, l.cancel = context.WithCancelCause(context.WithValue(ctx, lockKey{}, l))
			m.mu.Lock()
			m.held[l] = struct{}{}
			m.mu.Unlock()
			go l.watch(s.ttl, s.autoRenew, start.Add(s.maxHold))
			return l, nil
		}
		m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool { return spineDel.Run(ctx, c, []string{name}, owner).Err() == nil })
		if int(errs.Load()) > len(m.clients)-m.quorum() {
			return nil, lockError("acquire", key, &QuorumError{Need: m.quorum(), Got: n})
		}
		if time.Now().After(end) {
			if s.wait == 0 {
				return nil, lockError("acquire", key, ErrNotAcquired)
			}
			return nil, lockError("acquire", key, ErrTimeout)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond + mrand.N(5*time.Millisecond)):
		}
	}
}

func (m *Manager) quorum() int { return len(m.clients)/2 + 1 }

func (l *Lock) watch(ttl time.Duration, renew bool, end time.Time) {
	tick := time.NewTicker(ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			if renew && time.Now().Before(end) {
				_ = l.Renew(context.Background(), ttl)
			}
			if time.Now().Add(ttl / 3).After(l.Until()) {
				l.cancel(ErrLost)
				return
			}
		}
	}
}

// Do runs fn under the lock.
func (m *Manager) Do(ctx context.Context, key string, fn func(context.Context) error, opts ...Option) error {
	l, err := m.Acquire(ctx, key, append(opts, WithAutoRenew())...)
	if err != nil {
		return err
	}
	defer func() { _ = l.Release(context.WithoutCancel(ctx)) }()
	return fn(l.Context())
}

// Inspect describes the lock.
func (m *Manager) Inspect(ctx context.Context, key string) (LockInfo, error) {
	name := m.namesOf(key).lock
	var owner atomic.Value
	n := m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool {
		v, err := c.Get(ctx, name).Result()
		if err == nil {
			owner.Store(v)
		}
		return err == nil
	})
	if n < m.quorum() {
		return LockInfo{}, lockError("inspect", key, ErrNotLocked)
	}
	return LockInfo{Key: key, Owner: owner.Load().(string)}, nil
}

// IsLocked reports whether anybody holds the key.
func (m *Manager) IsLocked(ctx context.Context, key string) (bool, error) {
	_, err := m.Inspect(ctx, key)
	return err == nil, nil
}

// Health asks every node.
func (m *Manager) Health(ctx context.Context) (Health, error) {
	n := m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool { return c.Ping(ctx).Err() == nil })
	h := Health{Quorum: m.quorum(), Voting: n}
	if n < m.quorum() {
		return h, fmt.Errorf("dlm: %w", &QuorumError{Need: m.quorum(), Got: n})
	}
	return h, nil
}

// Stats are counters.
func (m *Manager) Stats() Stats { return Stats{Quorum: m.quorum()} }

// Close releases what is held.
func (m *Manager) Close() error {
	m.closed.Store(true)
	m.mu.Lock()
	held := m.held
	m.held = map[*Lock]struct{}{}
	m.mu.Unlock()
	for l := range held {
		_ = l.Release(context.Background())
	}
	for _, c := range m.owned {
		_ = c.Close()
	}
	return nil
}

type lockKey struct{}

// FromContext is the lock a Do or a handler runs under.
func FromContext(ctx context.Context) (*Lock, bool) {
	l, ok := ctx.Value(lockKey{}).(*Lock)
	return l, ok
}

// Key as given.
func (l *Lock) Key() string { return l.key }

// Owner of the grant.
func (l *Lock) Owner() string { return l.owner }

// FencingToken of the grant.
func (l *Lock) FencingToken() uint64 { return l.token }

// Until is when the lock ends.
func (l *Lock) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// Info describes the lock.
func (l *Lock) Info() LockInfo {
	return LockInfo{Key: l.key, Owner: l.owner, Metadata: l.meta, AcquiredAt: l.at, ExpiresAt: l.Until(), TTL: time.Until(l.Until()), FencingToken: l.token}
}

// Context dies with the lock.
func (l *Lock) Context() context.Context { return l.ctx }

// Extend adds.
func (l *Lock) Extend(ctx context.Context, by time.Duration) error {
	return l.Renew(ctx, time.Until(l.Until())+by)
}

// Renew resets.
func (l *Lock) Renew(ctx context.Context, ttl time.Duration) error {
	start := time.Now()
	n := l.m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool {
		v, err := spineExt.Run(ctx, c, []string{l.m.namesOf(l.key).lock}, l.owner, ttl.Milliseconds()).Int()
		return err == nil && v == 1
	})
	if n < l.m.quorum() {
		l.cancel(ErrLost)
		return lockError("renew", l.key, ErrExpired)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = start.Add(ttl - driftOf(ttl, l.m.cfg.DriftFactor))
	return nil
}

// Release ends the lock.
func (l *Lock) Release(ctx context.Context) error {
	l.once.Do(func() {
		close(l.stop)
		n := l.m.each(ctx, func(ctx context.Context, c redis.UniversalClient) bool {
			v, err := spineDel.Run(ctx, c, []string{l.m.namesOf(l.key).lock}, l.owner).Int()
			return err == nil && v == 1
		})
		l.cancel(context.Canceled)
		l.m.mu.Lock()
		delete(l.m.held, l)
		l.m.mu.Unlock()
		if n < l.m.quorum() {
			l.err = lockError("release", l.key, ErrExpired)
		}
	})
	return l.err
}

var defaultManager atomic.Pointer[Manager]

// SetDefault makes m the Manager that Default returns.
func SetDefault(m *Manager) { defaultManager.Store(m) }

// Default returns the Manager of SetDefault, or nil.
func Default() *Manager { return defaultManager.Load() }

// Guarded wraps fn so that calls with one key run one at a time.
func Guarded[A, R any](m *Manager, key func(A) (string, error), fn func(context.Context, A) (R, error), opts ...Option) func(context.Context, A) (R, error) {
	return func(ctx context.Context, arg A) (R, error) {
		var out R
		k, err := key(arg)
		if err != nil {
			return out, err
		}
		err = m.Do(ctx, k, func(ctx context.Context) error {
			out, err = fn(ctx, arg)
			return err
		}, opts...)
		return out, err
	}
}
