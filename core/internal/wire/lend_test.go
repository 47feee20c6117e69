package wire

import (
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lone sends calls one after the other until the reading is lent.
func lone(t *testing.T, stream *Stream, p *peer) {
	t.Helper()
	for i := range loneCalls {
		box := newInbox()
		c := call(box, i)
		c.Wait = true
		stream.Send(time.Now(), c)
		require.Equal(t, strconv.Itoa(i), p.lastArg())
		p.answer(integer(i))
		box.reply(t, i)
	}
	synctest.Wait()
	require.Equal(t, lent, readershipOf(stream))
}

func readershipOf(s *Stream) readership {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readership
}

// waits is a call whose sender waits.
func waits(to Receiver, number int) Call {
	c := call(nil, number)
	c.To, c.Wait = to, true
	return c
}

// answerNext answers as soon as a command comes.
func answerNext(p *peer, reply string) {
	go func() {
		<-p.commands
		_, _ = io.WriteString(p.conn, reply)
	}()
}

func TestALoneCallerReadsItsReply(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		for i := range 100 {
			answerNext(p, integer(i))
			here := false // unguarded: the race detector says if another goroutine delivers
			stream.Send(time.Now(), waits(receiverFunc(func(r Reply) { here = r.Int == int64(i) }), i))
			require.True(t, here, "delivered before Send returned")
		}
		require.Equal(t, lent, readershipOf(stream))
	})
}

// A caller hears of nothing else while it reads, so it does not read for long.
func TestACallerDoesNotReadForLong(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		box, began := newInbox(), time.Now()
		stream.Send(began, waits(box, 7))
		require.Equal(t, readHereFor, time.Since(began))
		require.Equal(t, "7", p.lastArg())
		p.answer(integer(70))
		require.Equal(t, int64(70), box.reply(t, 7).Int, "read by the reader")
		began = time.Now()
		stream.Send(began, waits(box, 8))
		require.Zero(t, time.Since(began), "it is not tried again at once")
		p.lastArg()
		p.answer(integer(80))
		require.Equal(t, int64(80), box.reply(t, 8).Int)
	})
}

// A node that freezes while a caller reads is found silent as any other, and
// what it held is answered when it wakes.
func TestANodeThatFreezesWhileACallerReads(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		s.set(func() { s.mute = true })
		box := newInbox()
		stream.Send(time.Now(), waits(box, 5))
		time.Sleep(nodeTimeout + time.Millisecond)
		stream.Send(time.Now(), waits(box, 6))
		var silent *SilentError
		require.ErrorAs(t, box.reply(t, 6).Err, &silent)
		forced := waits(box, 7)
		forced.Force = true
		stream.Send(time.Now(), forced)
		require.Equal(t, "5", p.lastArg())
		require.Equal(t, "7", p.lastArg(), "in order")
		p.answer(integer(50) + integer(70))
		require.Equal(t, int64(50), box.reply(t, 5).Int)
		require.Equal(t, int64(70), box.reply(t, 7).Int)
	})
}

// Others may send while a caller reads; the reader reads for them, also when the
// caller's own reply never comes whole.
func TestOthersSendWhileACallerReads(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		box := newInbox()
		go stream.Send(time.Now(), waits(box, 0))
		synctest.Wait()
		require.Equal(t, byCaller, readershipOf(stream))
		stream.Send(time.Now(), call(box, 1))
		stream.Send(time.Now(), waits(box, 2))
		p.answer(integer(0))
		box.reply(t, 0)
		require.Equal(t, byReader, readershipOf(stream))
		p.answer(integer(10) + integer(20))
		require.Equal(t, int64(10), box.reply(t, 1).Int)
		require.Equal(t, int64(20), box.reply(t, 2).Int)
	})
}

// The reply may be cut anywhere: what is not here whole is the reader's.
func TestACallerLeavesHalfAReplyToTheReader(t *testing.T) {
	for _, parts := range [][2]string{{":4", "2\r\n"}, {"$2\r\n", "42\r\n"}, {"*1\r\n:", "42\r\n"}} {
		bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
			lone(t, stream, p)
			box := newInbox()
			answerNext(p, parts[0])
			stream.Send(time.Now(), waits(box, 0))
			time.Sleep(10 * readHereFor)
			require.Empty(t, box.arrivals())
			p.answer(parts[1])
			r := box.reply(t, 0)
			require.NoError(t, r.Err)
			require.True(t, r.Int == 42 || r.Text == "42" || len(r.Items) == 1 && r.Items[0].Int == 42, "%+v", r)
			require.Equal(t, 1, s.dialed())
		})
	}
}

// Calls that nobody waits for are read for by the reader.
func TestACallThatNobodyWaitsForIsReadByTheReader(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		box := newInbox()
		stream.Send(time.Now(), call(box, 9))
		require.Equal(t, byReader, readershipOf(stream))
		p.lastArg()
		p.answer(integer(90))
		require.Equal(t, int64(90), box.reply(t, 9).Int)
	})
}

// The end of a connection is seen though the reading was lent and nobody calls,
// and though a caller met it.
func TestTheEndOfAConnectionIsSeenWhileTheReadingIsLent(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		_ = p.conn.Close()
		time.Sleep(2 * lendFor)
		next := s.accept()
		synctest.Wait()
		lone(t, stream, next)
		box := newInbox()
		go func() {
			<-next.commands
			_ = next.conn.Close()
		}()
		stream.Send(time.Now(), waits(box, 3))
		require.Error(t, box.reply(t, 3).Err)
		require.NotErrorIs(t, box.reply(t, 3).Err, ErrNotSent)
		last := s.accept()
		synctest.Wait()
		stream.Send(time.Now(), call(box, 4))
		require.Equal(t, "4", last.lastArg())
	})
}

func TestCloseWhileTheReadingIsLent(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		began := time.Now()
		stream.Close(nodeTimeout)
		require.Zero(t, time.Since(began))
		require.True(t, p.gone())
	})
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		lone(t, stream, p)
		box := newInbox()
		go stream.Send(time.Now(), waits(box, 0))
		synctest.Wait()
		stream.Close(0)
		require.ErrorIs(t, box.reply(t, 0).Err, ErrClosed)
	})
}
