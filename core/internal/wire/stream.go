package wire

import (
	"bufio"
	"context"
	"net"
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
	// Sole says that there is no other node: then the first of many callers sends
	// at once, so that the server works while the others make up their calls. With
	// several nodes one of them has work in any case, and larger batches cost less.
	Sole bool
}

// Bounds of one node's backlog. Beyond the first, calls are refused; forced
// calls are let through up to twice of it.
const (
	maxInFlight = 4096
	maxBacklog  = 1 << 20  // bytes not yet written
	keepBuffer  = 64 << 10 // a larger one is not kept for the next write
)

// Stream is one connection shared by everybody: calls are written in the order
// in which they are sent, inline by a lone sender and in batches by the writer
// under load, and a node's replies are matched to them in that same order. Only a
// joint run is put behind what was sent while it was gathered.
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

	returned chan struct{} // cap 1: the reading may be the reader's again

	eager      *eagerReader  // of conn. Whoever reads has it, see lend.go
	in         *bufio.Reader // on eager. Whoever reads has it
	replies    []Reply       // of one batch. Whoever reads has it
	deliveries []delivery    // of one batch. Whoever reads has it
	half       bool          // the first of two replies to the oldest call is here. Whoever reads has it
	first      Reply         // that one. Whoever reads has it
	reading    time.Time     // deadline of the next read. The reader's

	mu       sync.Mutex
	conn     net.Conn  // nil while there is none. Guarded by mu
	reason   error     // why there is none, nil while the first attempt runs. Guarded by mu
	closed   bool      // guarded by mu
	out      []byte    // encoded, not yet written. Guarded by mu
	spare    []byte    // the buffer of the last write. Guarded by mu
	writing  bool      // somebody is in conn.Write. Guarded by mu
	kicked   bool      // the writer is about to look. Guarded by mu
	deadline time.Time // of the next write. Guarded by mu
	flights  ring      // sent or about to be, in order. Guarded by mu; whoever reads looks at the oldest without, see progress
	joint    joint     // about to be sent behind those, as one. Guarded by mu
	crowd    int       // how many calls the last batch answered. Guarded by mu
	behind   time.Time // when a batch was done with more to be read in s.in; zero: with nothing. Guarded by mu

	readership readership // who reads. Guarded by mu
	lone       int        // calls in a row that were alone; below 0: none is, for so many. Guarded by mu
	used       bool       // the lent reading was used since the reader looked. Guarded by mu
	ended      error      // what a caller's reading met. Guarded by mu

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
	again bool // sent before, on a connection that broke
	whole bool // sent with its script, which the server had forgotten
	// joined is how many calls, from this one on, were sent as one run; 0: it alone.
	joined int
}

// NewStream is a stream that Start connects.
func NewStream(opt Options) *Stream {
	return &Stream{opt: opt, stop: func() {}, kick: make(chan struct{}, 1), returned: make(chan struct{}, 1), drained: make(chan struct{})}
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
	if conn == nil || s.busy() == 0 {
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

// Commands is how many calls were answered.
func (s *Stream) Commands() uint64 { return s.commands.Load() }

// Send writes the call or hands it to the writer, and may read the reply, for
// readHereFor at most, if the call says that its sender waits. now is the caller's idea of
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
	f := flight{call: c, at: now}
	if s.conn == nil {
		s.flights.push(f)
		s.mu.Unlock() // encoded when the connection is there
		return
	}
	alone := s.busy() == 0 && !s.writing && !s.kicked && (s.crowd <= 1 || s.opt.Sole)
	s.enter(f, alone)
	here, over := s.borrow(c.Wait)
	s.push(now, alone)
	switch {
	case here:
		s.readHere()
	case over:
		s.giveBack()
	}
}

// busy is how many calls are in flight. mu is held.
func (s *Stream) busy() int { return s.flights.len() + len(s.joint.flights) }

// push writes what has gathered, or leaves that to whoever writes. mu is held on
// entry and released.
func (s *Stream) push(now time.Time, alone bool) {
	switch {
	case s.writing || s.kicked:
		s.mu.Unlock() // whoever writes takes it along
	case alone:
		s.flush(now)
	default:
		s.kicked = true
		s.mu.Unlock()
		s.wakeWriter()
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
	if s.busy() >= limit*maxInFlight || len(s.out) >= limit*maxBacklog {
		return errSaturated
	}
	if force || s.flights.len() == 0 {
		return nil
	}
	if silent := now.Sub(s.flights.front().at); silent > s.opt.Timeout && now.Sub(s.behind) > s.opt.Timeout && !unread(s.conn) {
		return &SilentError{For: silent}
	}
	return nil
}

func (c *Call) abandoned() bool { return c.Abandoned != nil && c.Abandoned(c.Node) }
