package wire

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// insistent is an inbox whose calls are sent again.
type insistent struct {
	*inbox
	repeat func(call int, sent *Request) *Request
}

func (b insistent) Repeat(call int, sent *Request) *Request { return b.repeat(call, sent) }

func theSame(_ int, sent *Request) *Request { return sent }

func insist(box *inbox, number int, repeat func(int, *Request) *Request) Call {
	c := call(box, number)
	c.To = insistent{box, repeat}
	return c
}

// cut ends the connection when it has read so many commands, without an answer.
func (p *peer) cut(t *testing.T, commands int) {
	t.Helper()
	for range commands {
		p.command()
	}
	require.NoError(t, p.conn.Close())
}

func TestAnUnansweredCallIsSentAgainInItsPlace(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		var abandoned atomic.Bool
		stream.Send(time.Now(), insist(box, 0, theSame))
		stream.Send(time.Now(), call(box, 1))
		stream.Send(time.Now(), insist(box, 2, func(int, *Request) *Request { return nil }))
		given := insist(box, 3, theSame)
		given.Abandoned = func(int) bool { return abandoned.Load() }
		stream.Send(time.Now(), given)
		stream.Send(time.Now(), insist(box, 4, theSame))
		p.cut(t, 5)
		require.Error(t, box.reply(t, 1).Err)
		require.NotErrorIs(t, box.reply(t, 1).Err, ErrNotSent)
		abandoned.Store(true) // while nothing is connected

		next := s.accept()
		require.Equal(t, "0", next.lastArg())
		require.Equal(t, "4", next.lastArg())
		for _, dropped := range []int{2, 3} {
			require.Error(t, box.reply(t, dropped).Err)
			require.NotErrorIs(t, box.reply(t, dropped).Err, ErrNotSent, "it was, on the connection before")
		}
		next.quiet()
		next.answer(integer(10) + integer(14))
		require.Equal(t, Reply{Int: 10, Repeated: true}, box.reply(t, 0))
		require.Equal(t, Reply{Int: 14, Repeated: true}, box.reply(t, 4))

		stream.Send(time.Now(), call(box, 6))
		require.Equal(t, "6", next.lastArg())
		next.answer(integer(16))
		require.Equal(t, Reply{Int: 16}, box.reply(t, 6))
	})
}

func TestAnUnansweredClaimIsSentAgainAsWhatRepeatSays(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		c := insist(box, 0, func(_ int, sent *Request) *Request {
			require.True(t, sent.Claims())
			return call(box, 77).Req
		})
		c.Req = newClaim("lock", []byte("record"), time.Minute, "fence", 7)
		stream.Send(time.Now(), c)
		p.answer("+OK\r\n") // half an answer
		p.cut(t, 2)
		next := s.accept()
		require.Equal(t, "77", next.lastArg())
		next.answer(integer(5))
		require.Equal(t, Reply{Int: 5, Repeated: true}, box.reply(t, 0))
	})
}

func TestOneAttemptToConnectDecides(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		stream.Send(time.Now(), insist(box, 0, theSame))
		gone := errors.New("gone")
		s.set(func() { s.deny = gone })
		p.cut(t, 1)
		time.Sleep(nodeTimeout / 2) // the bubble's time
		require.ErrorIs(t, box.reply(t, 0).Err, gone)
		require.NotErrorIs(t, box.reply(t, 0).Err, ErrNotSent)
	})
}

func TestAnOldCallIsNotSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		stream.Send(time.Now(), insist(box, 0, theSame))
		time.Sleep(nodeTimeout) // the bubble's time
		p.cut(t, 1)
		require.Error(t, box.reply(t, 0).Err)
		s.accept().quiet()
	})
}

// A server that dies of a command does not get it for ever.
func TestSendingAgainEnds(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		began, sent := time.Now(), 0
		stream.Send(began, insist(box, 0, theSame))
		for next := p; len(box.arrivals()) == 0; next = s.accept() {
			synctest.Wait()
			sent += len(next.commands)
			require.Less(t, time.Since(began), 10*nodeTimeout)
			require.NoError(t, next.conn.Close())
			synctest.Wait()
		}
		require.Greater(t, sent, 1)
		require.Error(t, box.reply(t, 0).Err)
	})
}

func TestCloseEndsWhatIsToBeSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		stream.Send(time.Now(), insist(box, 0, theSame))
		p.cut(t, 1)
		synctest.Wait()
		require.Empty(t, box.arrivals())
		stream.Close(nodeTimeout)
		require.Error(t, box.reply(t, 0).Err)
	})
}
