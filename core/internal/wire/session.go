package wire

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Session is a new connection in the hands of its greeter.
type Session struct {
	conn net.Conn
	in   *bufio.Reader
}

// Do runs one command. A server's refusal is in the Reply, anything else is the error.
func (s *Session) Do(args ...string) (Reply, error) {
	if _, err := s.conn.Write(appendCommand(nil, args...)); err != nil {
		return Reply{}, err
	}
	return readReply(s.in)
}

// Run runs a script by its source.
func (s *Session) Run(req *Request) (Reply, error) {
	if _, err := s.conn.Write(appendRun(nil, req, Tail{}, true)); err != nil {
		return Reply{}, err
	}
	return readReply(s.in)
}

// Load makes the server remember a script.
func (s *Session) Load(script *Script) (Reply, error) {
	return s.Do("SCRIPT", "LOAD", script.source)
}

// Dialer opens connections the way go-redis does, with TLS, credentials and
// database, and takes them over once they are ready: go-redis' own use of a
// connection waits for each reply.
func Dialer(opt *redis.Options, timeout time.Duration) func(context.Context) (net.Conn, error) {
	base := *opt
	base.PoolSize, base.MinIdleConns, base.MaxRetries = 1, 0, -1
	base.Protocol = 2
	base.PushNotificationProcessor = nil // another client's
	base.ContextTimeoutEnabled = true
	base.DialTimeout, base.ReadTimeout, base.WriteTimeout = timeout, timeout, timeout
	base.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	dial := base.Dialer
	if dial == nil {
		dial = redis.NewDialer(&base)
	}
	return func(ctx context.Context) (net.Conn, error) { return ready(ctx, base, dial) }
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// ready has go-redis set the connection up, then keeps the connection and drops
// the client.
func ready(ctx context.Context, opt redis.Options, dial dialFunc) (net.Conn, error) {
	// Dialed here, because go-redis dials several times and logs each failure.
	conn, err := dial(ctx, opt.Network, opt.Addr)
	if err != nil {
		return nil, err
	}
	kept := &keptConn{Conn: conn, conn: conn}
	opt.DialerRetries = 1
	opt.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if !kept.handOut() {
			return nil, errDialedOnce
		}
		return kept, nil
	}
	client := redis.NewClient(&opt)
	defer client.Close() //nolint:errcheck // closes nothing but the kept connection, which ignores it
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(err, kept.drop())
	}
	return kept.take(), nil
}

var errDialedOnce = errors.New("the connection could not be set up")

// keptConn ignores Close until it is taken over.
type keptConn struct {
	net.Conn
	mu   sync.Mutex
	conn net.Conn // guarded by mu
	used bool     // handed out once. Guarded by mu
}

// handOut reports whether the connection is still unused.
func (k *keptConn) handOut() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := !k.used
	k.used = true
	return first
}

func (k *keptConn) Close() error { return nil }

func (k *keptConn) take() net.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn
}

func (k *keptConn) drop() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn == nil {
		return nil
	}
	return k.conn.Close()
}
