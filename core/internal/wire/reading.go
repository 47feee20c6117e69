package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// serve publishes the connection, sends what has been waiting for it, and reads
// replies until it ends.
func (s *Stream) serve(ctx context.Context, conn net.Conn) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrClosed, conn.Close())
	}
	before := s.reason
	s.conn, s.eager = conn, newEagerReader(conn)
	s.in = bufio.NewReaderSize(s.eager, 16<<10)
	s.deadline, s.behind = time.Time{}, time.Time{}
	s.readership, s.lone, s.ended = byReader, 0, nil
	lost := s.encodeWaiting()
	s.mu.Unlock()
	tell(lost, before, true)
	s.wakeWriter()
	s.opt.Up()

	s.reading = time.Time{}
	for {
		err := s.await(ctx, conn)
		if err == nil {
			_, err = s.deliver()
		}
		if err == nil && s.lend() {
			err = s.reclaim(ctx, conn)
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
func (s *Stream) await(ctx context.Context, conn net.Conn) error {
	if now := time.Now(); s.reading.Sub(now) < s.patience()/2 { // rarely, as in arm
		s.readUntil(conn, now.Add(s.patience()))
	}
	for {
		_, err := s.in.Peek(1)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return err
		}
		silence := s.silence()
		if silence >= s.patience() && !unread(conn) && s.reachable(ctx) {
			discard(conn)
			return fmt.Errorf("connection dead: the node answers on another one: %w", err)
		}
		left := s.patience() - silence
		if left <= 0 {
			left = s.patience() // nobody answered, and to ask is dear
		}
		s.readUntil(conn, time.Now().Add(left))
	}
}

func (s *Stream) readUntil(conn net.Conn, t time.Time) {
	s.reading = t
	_ = conn.SetReadDeadline(t)
}

// delivery is a reply with who is to have it.
type delivery struct {
	to    Receiver
	node  int
	waits bool // the call's sender
	reply Reply
}

// maxBatch bounds how many replies wait for one another.
const maxBatch = 256

// deliver reads the replies that are here and gives them to their calls, which
// are taken off the books before the first of them is told: whoever is told finds
// nothing in flight, and can send at once. It returns how many calls were answered.
func (s *Stream) deliver() (answered int, err error) {
	replies := s.replies[:0]
	var broken error
	for len(replies) == 0 || len(replies) < maxBatch && lineBuffered(s.in) {
		var r Reply
		if r, broken = readReply(s.in); broken != nil {
			break
		}
		replies = append(replies, r)
	}
	answered, err = s.settle(replies)
	clear(replies)
	s.replies = replies
	if err == nil {
		err = broken
	}
	return answered, err
}

// settle gives replies to the oldest calls.
func (s *Stream) settle(replies []Reply) (answered int, err error) {
	p := s.progress()
	for i := range replies {
		if err = p.match(&replies[i]); err != nil {
			break
		}
	}
	ready := p.end()
	s.commands.Add(uint64(len(ready)))
	for i := range ready {
		d := &ready[i]
		d.to.Receive(d.node, d.reply)
		if refused, ok := d.reply.Err.(ServerError); ok && refused.readOnly() { //nolint:errorlint // as it was read
			err = fmt.Errorf("the server is a replica now: %w", refused) // the primary may be found elsewhere
		}
	}
	answered = len(ready)
	clear(ready)
	s.deliveries = ready
	return answered, err
}

// note counts how many are answered at a time, by which the next are sent and
// read. mu is held.
func (s *Stream) note(ready []delivery) {
	s.crowd = len(ready)
	switch {
	case len(ready) == 1 && ready[0].waits, s.lone < 0:
		s.lone++
	case len(ready) > 0:
		s.lone = 0
	}
}

// scriptForgotten reports whether the server has no such script. It is sent whole once
// then: a server that does not know what it was just told is not one to insist on.
func scriptForgotten(r *Reply) bool {
	refused, ok := r.Err.(ServerError) //nolint:errorlint // as it was read
	return ok && refused.noScript()
}
