package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Reading belongs to one goroutine at a time. As a rule that is the reader,
// which also sees a connection end while nothing is asked. But to wake the reader
// for a reply, and the caller after it, takes a lone caller longer than the reply
// does. So after a few calls that were alone the reader lends the reading, and
// the next lone caller that has nothing else to do reads its reply where it is.
type readership uint8

const (
	byReader readership = iota
	lent                // nobody reads and nothing is in flight; the reader looks in before long
	byCaller            // one caller reads; others may have sent since
)

const (
	loneCalls   = 3                     // that many in a row before the reading is lent
	lateCalls   = 64                    // that many after a reply that came too late to be read by its caller
	readHereFor = time.Millisecond      // how long a caller reads: it hears of nothing else meanwhile
	lendFor     = 10 * time.Millisecond // how long a lent reading may lie idle
)

// lend gives the reading up if those who call are likely to be alone.
func (s *Stream) lend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lone < loneCalls || s.busy() > 0 || s.closed {
		return false
	}
	s.readership, s.used = lent, false
	s.eager.unbound()
	return true
}

// borrow has a call that was just put into flight read for itself, or ends the
// lending. mu is held. When it reports over, giveBack must follow, without mu.
func (s *Stream) borrow(waits bool) (here, over bool) {
	switch {
	case s.readership != lent:
		return false, false
	case waits:
		s.readership, s.used = byCaller, true
		return true, false
	}
	s.readership = byReader
	return false, true
}

func (s *Stream) giveBack() {
	select {
	case s.returned <- struct{}{}:
	default:
	}
}

// readHere reads until the oldest call, which is the caller's own, is answered.
// What does not come soon, or not whole, is left to the reader.
func (s *Stream) readHere() {
	s.eager.forCaller(time.Now().Add(min(readHereFor, s.opt.Timeout/4)))
	var (
		answered int
		err      error
	)
	for answered == 0 && err == nil {
		if s.in.Buffered() == 0 {
			if _, err = s.in.Peek(1); err != nil {
				break
			}
		}
		if !lineBuffered(s.in) {
			break
		}
		answered, err = s.deliver()
	}
	s.eager.forReader()
	s.mu.Lock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.lone, err = -lateCalls, nil
	}
	if err == nil && answered > 0 && s.busy() == 0 && s.in.Buffered() == 0 && !s.closed {
		s.readership = lent
		s.mu.Unlock()
		return
	}
	s.readership, s.ended = byReader, err
	s.mu.Unlock()
	s.giveBack()
}

// reclaim returns when the reading is the reader's again, with the error that
// ended it elsewhere.
func (s *Stream) reclaim(ctx context.Context, conn net.Conn) error {
	timer := time.NewTimer(lendFor)
	defer timer.Stop()
	s.reading = time.Time{} // the caller's deadline is not the reader's
	for {
		idle := false
		select {
		case <-s.returned:
		case <-timer.C:
			idle = true
			timer.Reset(lendFor)
		case <-ctx.Done():
			_ = conn.Close()
			s.recall()
			return ctx.Err()
		}
		if back, err := s.regain(idle); back {
			return err
		}
	}
}

// regain reports whether the reading is the reader's, which it becomes when
// nobody made use of it for a while.
func (s *Stream) regain(idle bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readership == lent && idle && !s.used {
		s.readership = byReader
	}
	s.used = false
	return s.readership == byReader, s.ended
}

// recall waits for a caller that reads from a connection just closed, after the
// Stream was.
func (s *Stream) recall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.readership == byCaller {
		s.mu.Unlock()
		<-s.returned
		s.mu.Lock()
	}
	s.readership = byReader
}
