package wire

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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

// Load makes the server remember a script, unless it refuses to: whoever runs it sends
// it whole then.
func (s *Session) Load(script *Script) error {
	_, err := s.Do("SCRIPT", "LOAD", script.source)
	return err
}

// Dialer opens connections the way go-redis does, with TLS, credentials and
// database, and takes them over once they are ready: go-redis' own use of a
// connection waits for each reply. timeout bounds each step of that.
func Dialer(opt *redis.Options, timeout time.Duration) func(context.Context) (net.Conn, error) {
	base := *opt
	base.PoolSize, base.MinIdleConns, base.MaxRetries = 1, 0, -1
	base.Protocol = 2 // what readReply reads; and go-redis asks for no notifications
	base.ContextTimeoutEnabled = true
	base.DialTimeout, base.ReadTimeout, base.WriteTimeout = timeout, timeout, timeout
	dial := BareDialer(&base)
	return func(ctx context.Context) (net.Conn, error) { return ready(ctx, base, dial) }
}

// ready has go-redis set the connection up, then keeps the connection and drops
// the client.
func ready(ctx context.Context, opt redis.Options, dial dialFunc) (net.Conn, error) {
	// Dialed here, because go-redis dials several times and logs each failure.
	conn, err := dial(ctx, opt.Network, opt.Addr)
	if err != nil {
		return nil, err
	}
	kept := &keptConn{Conn: conn}
	opt.DialerRetries = 1
	opt.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if kept.handedOut.Swap(true) {
			return nil, errDialedOnce
		}
		return kept, nil
	}
	client := redis.NewClient(&opt)
	defer client.Close() //nolint:errcheck // closes nothing but the kept connection, which ignores it
	if err := client.Ping(ctx).Err(); err != nil {
		if isEnd(err) {
			err = kept.hearOut(err)
		}
		_ = conn.Close()
		return nil, explainSetup(err, kept.said(), &opt)
	}
	return conn, nil
}

var errDialedOnce = errors.New("the connection could not be set up")

// keptConn ignores that go-redis closes it, and remembers what the server said first.
type keptConn struct {
	net.Conn
	handedOut atomic.Bool
	first     atomic.Pointer[string]
}

func (k *keptConn) Close() error { return nil }

func (k *keptConn) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	if n > 0 && k.first.Load() == nil {
		first := string(p[:min(n, maxSaid)])
		k.first.Store(&first)
	}
	return n, err
}

// maxSaid is what is kept of what the server said first.
const maxSaid = 256

func (k *keptConn) said() string {
	if first := k.first.Load(); first != nil {
		return *first
	}
	return ""
}

// hearOut reads what the server said before it ended the connection, where a write
// found that out. What TLS says in the end is a better error than ended.
func (k *keptConn) hearOut(ended error) error {
	if k.said() != "" {
		return ended
	}
	_ = k.SetReadDeadline(time.Now().Add(hearFor))
	_, err := k.Read(make([]byte, maxSaid))
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" {
		return err
	}
	return ended
}

// hearFor is how long what was sent before the end of a connection may take behind it.
const hearFor = 20 * time.Millisecond
