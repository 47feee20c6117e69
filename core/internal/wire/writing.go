package wire

import (
	"context"
	"net"
	"runtime"
	"time"
)

func (s *Stream) wakeWriter() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// flush writes what has gathered, once. mu is held on entry and released.
func (s *Stream) flush(now time.Time) {
	s.writing = true
	s.closeJoint()
	out, conn := s.out, s.conn
	s.out, s.spare = s.spare[:0], nil
	s.arm(conn, now)
	s.mu.Unlock()

	_, err := conn.Write(out)

	s.mu.Lock()
	s.writing = false
	if cap(out) <= keepBuffer {
		s.spare = out[:0]
	}
	more := s.gathered()
	s.mu.Unlock()
	if err != nil {
		discard(conn)
		_ = conn.Close() // the reader sees it and settles what is in flight
	}
	if more { // after an error too: the next connection may be there already
		s.wakeWriter()
	}
}

// gathered reports whether there is anything to write. mu is held.
func (s *Stream) gathered() bool { return len(s.out) > 0 || len(s.joint.flights) > 0 }

// arm bounds the next write. Setting a deadline costs as much as a small write,
// so it is set ahead and renewed rarely. mu is held.
func (s *Stream) arm(conn net.Conn, now time.Time) {
	if s.deadline.Sub(now) < s.opt.Timeout {
		s.deadline = now.Add(2 * s.opt.Timeout)
		_ = conn.SetWriteDeadline(s.deadline)
	}
}

// write is the writer: under load it lets the runnable senders add their calls
// first, then writes them all in one system call.
func (s *Stream) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		runtime.Gosched()
		s.mu.Lock()
		s.kicked = false
		if s.writing || s.conn == nil || !s.gathered() {
			s.mu.Unlock()
			continue
		}
		s.flush(time.Now())
	}
}
