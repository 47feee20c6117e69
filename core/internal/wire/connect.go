package wire

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"time"
)

// keep owns the connection: it makes it, reads it, and makes it anew.
func (s *Stream) keep(ctx context.Context) {
	const least, most = 20 * time.Millisecond, time.Second
	pause := least
	for ctx.Err() == nil {
		began := time.Now()
		conn, err := s.connect(ctx)
		if err == nil {
			err = s.serve(ctx, conn)
		}
		if ctx.Err() != nil {
			return
		}
		s.fail(err)
		s.opt.Down(err)
		if time.Since(began) > 10*most {
			pause = least
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, most)
	}
}

// connect dials and greets.
func (s *Stream) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.DialTimeout)
	defer cancel()
	conn, err := s.opt.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.greet(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (s *Stream) greet(ctx context.Context, conn net.Conn) error {
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	unhook := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	err := s.opt.Greet(ctx, &Session{conn: conn, in: bufio.NewReader(conn)})
	if !unhook() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// discard has the kernel drop what it could not deliver: an acquire that arrived
// after the releases of the next connection would stay until its TTL.
func discard(conn net.Conn) {
	if tcp, ok := beneath(conn).(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
}

// beneath is the connection that TLS is spoken on, or conn itself.
func beneath(conn net.Conn) net.Conn {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return over.NetConn()
	}
	return conn
}

// unread reports whether the node has said something that nobody has read yet, as it has
// while this process was suspended. Then it is not the node that is silent.
func unread(conn net.Conn) bool {
	raw, some := rawConn(beneath(conn)), false
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { some = readable(fd) })
	}
	return some
}

func (s *Stream) patience() time.Duration { return 4 * s.opt.Timeout }

// silence is how long the oldest call has been unanswered.
func (s *Stream) silence() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights.len() == 0 {
		return 0
	}
	return time.Since(s.flights.front().at)
}

// reachable probes with a connection of its own.
func (s *Stream) reachable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	conn, err := s.opt.Dial(ctx)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// fail ends what is in flight on a connection, or has waited for one in vain,
// but for what is sent again on the next.
func (s *Stream) fail(cause error) {
	s.mu.Lock()
	sent := s.conn != nil
	s.conn, s.reason = nil, cause
	s.dissolveJoint()
	lost := s.takeLost(sent && !s.closed)
	s.out, s.half = s.out[:0], false
	s.empty()
	s.mu.Unlock()
	tell(lost, cause, sent)
}
