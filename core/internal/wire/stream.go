package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a Stream reaches its node and when it gives up on it.
type Options struct {
	// Dial returns an authenticated connection with nothing in flight.
	Dial func(ctx context.Context) (net.Conn, error)
	// Greet talks to a new connection before anything else is sent on it.
	Greet func(ctx context.Context, c *Session) error
	// Up is told of each connection as soon as calls can be sent on it.
	Up func()
	// Down is told why a connection ended or could not be made.
	Down func(error)
	// Timeout is how long the node may take to answer before it is left alone.
	Timeout time.Duration
	// DialTimeout bounds Dial and Greet together.
	DialTimeout time.Duration
}

// Bounds of one node's backlog. Beyond the first, calls are refused; forced
// calls are let through up to twice of it.
const (
	maxInFlight = 4096
	maxBacklog  = 1 << 20 // bytes not yet written
	keepBuffer  = 64 << 10
)

// Stream is one connection shared by everybody: calls are written in the order
// in which they are sent, inline by a lone sender and in batches by the writer
// under load, and a node's replies are matched to them in that same order.
//
// A node that stops answering is noticed by the age of its oldest call, without
// a timer per call; from then on calls are refused at once until it answers. So
// a frozen node costs nobody time, and what it had been sent before it froze
// stays in order in front of the releases that follow.
type Stream struct {
	opt  Options
	kick chan struct{} // wakes the writer
	stop context.CancelFunc
	ends sync.WaitGroup

	mu       sync.Mutex
	conn     net.Conn  // nil while there is none. Guarded by mu
	reason   error     // why there is none, nil while the first attempt runs. Guarded by mu
	closed   bool      // guarded by mu
	out      []byte    // encoded, not yet written. Guarded by mu
	spare    []byte    // the buffer of the last write. Guarded by mu
	writing  bool      // somebody is in conn.Write. Guarded by mu
	deadline time.Time // of the next write. Guarded by mu
	reading  time.Time // deadline of the next read. The reader's
	flights  ring      // sent or about to be, in order. Guarded by mu

	drained chan struct{} // closed when closed and nothing is in flight
	dry     bool          // drained is closed. Guarded by mu

	commands atomic.Uint64
}

// empty says that nothing more is to be waited for. mu is held.
func (s *Stream) empty() {
	if s.closed && !s.dry {
		s.dry = true
		close(s.drained)
	}
}

// flight is a call under way.
type flight struct {
	call  Call
	at    time.Time
	half  bool  // the first of two replies is here
	first Reply // that one
}

// NewStream is a stream that Start connects.
func NewStream(opt Options) *Stream {
	return &Stream{opt: opt, stop: func() {}, kick: make(chan struct{}, 1), drained: make(chan struct{})}
}

// Start begins to connect. It is called once, before or after the first Send.
func (s *Stream) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.ends.Go(func() { s.keep(ctx) })
	s.ends.Go(func() { s.write(ctx) })
}

// Close refuses further calls, gives those in flight until grace is over to be
// answered, and ends the connection and its goroutines.
func (s *Stream) Close(grace time.Duration) {
	s.mu.Lock()
	s.closed = true
	conn := s.conn
	if conn == nil || s.flights.len() == 0 {
		s.empty()
	}
	s.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-s.drained:
	case <-timer.C:
	}
	s.stop()
	if conn != nil {
		_ = conn.Close()
	}
	s.ends.Wait()
	s.fail(ErrClosed)
}

// Commands is how many calls were written.
func (s *Stream) Commands() uint64 { return s.commands.Load() }

// Send writes the call or hands it to the writer. now is the caller's idea of
// the time, so that a round over many nodes reads the clock once.
func (s *Stream) Send(now time.Time, c Call) {
	s.mu.Lock()
	err := s.refusal(now, c.Force)
	if err == nil && c.abandoned() {
		err = ErrAbandoned
	}
	if err != nil {
		s.mu.Unlock()
		c.To.Receive(c.Node, Reply{Err: &notSent{err}})
		return
	}
	alone := s.flights.len() == 0
	s.flights.push(flight{call: c, at: now})
	if s.conn == nil {
		s.mu.Unlock() // encoded when the connection is there
		return
	}
	s.out = c.Req.append(s.out, c.Tail)
	switch {
	case s.writing:
		s.mu.Unlock() // whoever writes takes it along
	case alone:
		s.flush()
	default:
		s.mu.Unlock()
		s.wakeWriter()
	}
}

func (s *Stream) wakeWriter() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// refusal says why a call must not be sent. mu is held.
func (s *Stream) refusal(now time.Time, force bool) error {
	switch {
	case s.closed:
		return ErrClosed
	case s.conn == nil && s.reason != nil:
		return s.reason
	}
	limit := 1
	if force {
		limit = 2
	}
	if s.flights.len() >= limit*maxInFlight || len(s.out) >= limit*maxBacklog {
		return errSaturated
	}
	if force || s.flights.len() == 0 {
		return nil
	}
	if silent := now.Sub(s.flights.front().at); silent > s.opt.Timeout {
		return &SilentError{For: silent}
	}
	return nil
}

// flush writes what has gathered, once. mu is held on entry and released.
func (s *Stream) flush() {
	s.writing = true
	out, conn := s.out, s.conn
	s.out, s.spare = s.spare[:0], nil
	s.arm(conn)
	s.mu.Unlock()

	_, err := conn.Write(out)

	s.mu.Lock()
	s.writing = false
	if cap(out) <= keepBuffer {
		s.spare = out[:0]
	}
	more := len(s.out) > 0
	s.mu.Unlock()
	if err != nil {
		_ = conn.Close() // the reader sees it and settles what is in flight
	}
	if more { // after an error too: the next connection may be there already
		s.wakeWriter()
	}
}

// arm bounds the next write. Setting a deadline costs as much as a small write,
// so it is set ahead and renewed rarely. mu is held.
func (s *Stream) arm(conn net.Conn) {
	now := time.Now()
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
		if s.writing || s.conn == nil || len(s.out) == 0 {
			s.mu.Unlock()
			continue
		}
		s.flush()
	}
}

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

// serve publishes the connection, sends what has been waiting for it, and reads
// replies until it ends.
func (s *Stream) serve(ctx context.Context, conn net.Conn) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrClosed, conn.Close())
	}
	s.conn, s.deadline, s.out = conn, time.Time{}, s.out[:0]
	for i := range s.flights.len() {
		c := &s.flights.at(i).call
		s.out = c.Req.append(s.out, c.Tail)
	}
	s.mu.Unlock()
	s.wakeWriter()
	s.opt.Up()

	s.reading = time.Time{}
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		if err := s.await(ctx, conn, in); err != nil {
			_ = conn.Close()
			return err
		}
		r, err := readReply(in)
		if err == nil {
			err = s.settle(r)
		}
		if err != nil {
			_ = conn.Close()
			return err
		}
	}
}

// await waits for the next reply to begin. A node that has been silent for long
// may be frozen, and then its connection must be kept, for the order of what it
// holds; or the path to it is dead, and then a second connection answers.
func (s *Stream) await(ctx context.Context, conn net.Conn, in *bufio.Reader) error {
	for in.Buffered() == 0 {
		if now := time.Now(); s.reading.Sub(now) < s.patience()/2 { // rarely, as in arm
			s.reading = now.Add(s.patience())
			_ = conn.SetReadDeadline(s.reading)
		}
		_, err := in.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		if s.silence() > s.patience() && s.reachable(ctx) {
			discard(conn)
			return fmt.Errorf("connection dead: the node answers on another one: %w", err)
		}
	}
	return nil
}

// discard has the kernel drop what it could not deliver: an acquire that arrived
// after the releases of the next connection would stay until its TTL.
func discard(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
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

// settle gives a reply to the oldest call.
func (s *Stream) settle(r Reply) error {
	var refused ServerError
	s.mu.Lock()
	if s.flights.len() == 0 {
		s.mu.Unlock()
		return fmt.Errorf("%w: nothing was asked", errProtocol)
	}
	if f := s.flights.front(); f.call.Req.claim != nil && !f.half {
		f.half, f.first = true, r // the second reply completes it
		s.mu.Unlock()
		return nil
	}
	f := s.flights.pop()
	if f.half {
		r = joinClaim(f.first, r)
	}
	if errors.As(r.Err, &refused) && refused.noScript() && !f.call.abandoned() {
		// Under mu, so that a release sent from now on stands behind it.
		f.at = time.Now()
		s.out = appendRun(s.out, f.call.Req, f.call.Tail, true)
		s.flights.push(f)
		s.mu.Unlock()
		s.wakeWriter()
		return nil
	}
	if s.flights.len() == 0 {
		s.empty()
	}
	s.mu.Unlock()
	s.commands.Add(1)
	f.call.To.Receive(f.call.Node, r)
	if errors.As(r.Err, &refused) && refused.readOnly() {
		return fmt.Errorf("the server is a replica now: %w", r.Err) // the primary may be found elsewhere
	}
	return nil
}

func (c *Call) abandoned() bool { return c.Abandoned != nil && c.Abandoned() }

// fail settles everything in flight; what was sent may or may not have been
// executed.
func (s *Stream) fail(cause error) {
	s.mu.Lock()
	sent := s.conn != nil
	s.conn, s.reason = nil, cause
	var lost []flight
	for s.flights.len() > 0 {
		lost = append(lost, s.flights.pop())
	}
	s.out = s.out[:0]
	s.empty()
	s.mu.Unlock()
	if !sent {
		cause = &notSent{cause}
	}
	for _, f := range lost {
		f.call.To.Receive(f.call.Node, Reply{Err: cause})
	}
}
