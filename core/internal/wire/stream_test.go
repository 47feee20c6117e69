package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRepliesGoToTheirCallsInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		const calls = 500
		box := newInbox()
		for i := range calls {
			stream.Send(time.Now(), call(box, i))
		}
		for i := range calls {
			require.Equal(t, []string{"EVALSHA", testScript.sha, "1", "key", strconv.Itoa(i)}, p.command())
		}
		for i := range calls {
			p.answer(integer(1000 + i))
		}
		for i := range calls {
			require.Equal(t, Reply{Int: int64(1000 + i)}, box.reply(t, i))
			require.Equal(t, i, box.arrivals()[i])
		}
		require.Equal(t, uint64(calls), stream.Commands())
	})
}

// Many senders at once: each is answered, once, with what belongs to it.
func TestConcurrentSendersAreAnsweredOnce(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		const senders, each = 64, 50
		go func() {
			for args := range p.commands {
				p.answer(":" + args[len(args)-1] + "\r\n")
			}
		}()
		box := newInbox()
		var wait sync.WaitGroup
		for s := range senders {
			wait.Go(func() {
				for i := range each {
					stream.Send(time.Now(), call(box, s*each+i))
				}
			})
		}
		wait.Wait()
		synctest.Wait()
		require.Len(t, box.arrivals(), senders*each)
		for i := range senders * each {
			require.Equal(t, int64(i), box.reply(t, i).Int)
		}
	})
}

// What gathers during a write goes out in one.
func TestCallsSentDuringAWriteAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.deaf = true
		stream, _ := newStream(s)
		stream.Start()
		defer stream.Close(0)
		p := s.accept()
		synctest.Wait()

		box := newInbox()
		go stream.Send(time.Now(), call(box, 0)) // blocks: the peer does not read
		synctest.Wait()
		for i := 1; i <= 100; i++ {
			stream.Send(time.Now(), call(box, i))
		}
		go p.listen()
		for i := 0; i <= 100; i++ {
			require.Equal(t, strconv.Itoa(i), p.lastArg())
			p.answer(integer(i))
		}
		box.reply(t, 100)
		require.Len(t, p.writes, 2, "one write for the first call and one for all that came meanwhile")
	})
}

func TestALoneCallIsWrittenByItsSender(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		for i := range 3 {
			box := newInbox()
			stream.Send(time.Now(), call(box, i))
			require.Len(t, p.writes, i+1, "written when Send returns")
			require.Equal(t, strconv.Itoa(i), p.lastArg())
			p.answer(integer(i))
			box.reply(t, i)
		}
	})
}

// What was read and not parsed yet is unread, too, for as long as a node may be silent.
func TestANodeWhoseAnswerLiesInTheReaderIsNotSilent(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		first := call(nil, 0)
		first.To = receiverFunc(func(Reply) { stream.Send(time.Now(), call(box, 2)) })
		stream.Send(time.Now(), first)
		stream.Send(time.Now(), call(box, 1))
		time.Sleep(2 * nodeTimeout)
		p.answer(integer(0) + "*1\r\n" + integer(1)) // a list is a batch of its own
		synctest.Wait()
		require.Equal(t, []int{1}, box.arrivals(), "the other is sent")

		stream.Send(time.Now(), call(box, 3))
		p.answer(integer(2) + "*1\r\n")
		synctest.Wait()
		time.Sleep(nodeTimeout)
		stream.Send(time.Now().Add(1), call(box, 4))
		var silent *SilentError
		require.ErrorAs(t, box.reply(t, 4).Err, &silent)
	})
}

// receiverFunc is a Receiver that does what the test wants.
type receiverFunc func(Reply)

func (f receiverFunc) Receive(_ int, r Reply) { f(r) }

// Whoever is told of the first of several replies that came together finds the
// others answered too: nothing is in flight, and the next call leaves at once.
func TestRepliesThatComeTogetherAreTakenTogether(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		stream.opt.Sole = true
		const calls = 5
		box, inFlight, written := newInbox(), -1, 0
		for i := range calls {
			c := call(box, i)
			if i == 0 {
				c.To = receiverFunc(func(Reply) {
					inFlight = stream.flights.len()
					before := len(p.writes)
					stream.Send(time.Now(), call(box, calls))
					written = len(p.writes) - before
				})
			}
			stream.Send(time.Now(), c)
		}
		for i := range calls {
			require.Equal(t, strconv.Itoa(i), p.lastArg())
		}
		synctest.Wait() // nobody writes any more
		p.answer(strings.Repeat(integer(1), calls))
		box.reply(t, calls-1)
		require.Zero(t, inFlight)
		require.Equal(t, 1, written)
		require.Equal(t, strconv.Itoa(calls), p.lastArg())
	})
}

// What came whole is delivered, though the reply behind it has not ended.
func TestAReplyDoesNotWaitForTheNext(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		for i := range 3 {
			stream.Send(time.Now(), call(box, i))
		}
		p.answer(integer(1) + "$3\r\nab")
		require.Equal(t, int64(1), box.reply(t, 0).Int)
		p.answer("c\r\n:4")
		require.Equal(t, "abc", box.reply(t, 1).Text)
		require.Len(t, box.arrivals(), 2)
		p.answer("2\r\n")
		require.Equal(t, int64(42), box.reply(t, 2).Int)
	})
}

func TestCallsWaitForTheFirstConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		stream, _ := newStream(s)
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		stream.Send(time.Now(), call(box, 1))
		stream.Start()
		defer stream.Close(0)
		p := s.accept()
		require.Equal(t, "0", p.lastArg())
		require.Equal(t, "1", p.lastArg())
		p.answer(integer(7) + integer(8))
		require.Equal(t, int64(7), box.reply(t, 0).Int)
		require.Equal(t, int64(8), box.reply(t, 1).Int)
	})
}

func TestAForgottenScriptIsSentWholeAndStandsAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		for i := range 3 {
			stream.Send(time.Now(), call(box, i))
			require.Equal(t, "EVALSHA", p.command()[0])
		}
		p.answer("-NOSCRIPT No matching script.\r\n")
		again := p.command()
		require.Equal(t, []string{"EVAL", testScript.source, "1", "key", "0"}, again)
		require.Empty(t, box.arrivals(), "the caller does not hear of it")
		p.answer(integer(11) + integer(12) + integer(10))
		require.Equal(t, int64(10), box.reply(t, 0).Int)
		require.Equal(t, []int{1, 2, 0}, box.arrivals())
	})
}

// The release of an abandoned acquire is on its way already; the acquire must
// not be repeated behind it.
func TestAnAbandonedCallIsNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		c := call(box, 0)
		var abandoned atomic.Bool
		c.Abandoned = func(int) bool { return abandoned.Load() }
		stream.Send(time.Now(), c)
		p.command()
		abandoned.Store(true)
		p.answer("-NOSCRIPT No matching script.\r\n")
		require.ErrorIs(t, box.reply(t, 0).Err, ErrAbandoned, "no fault of the node's")
		p.quiet()
	})
}

// An acquire is given up, and its release sent, just when the server is found to have
// forgotten the script.
func TestARepeatedCallIsNotBehindItsRelease(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box, released := newInbox(), make(chan struct{})
		var asked, abandoned atomic.Bool
		acquire, release := call(box, 0), call(box, 1)
		release.Force = true
		acquire.Abandoned = func(int) bool {
			if abandoned.Load() || !asked.Load() {
				return abandoned.Load()
			}
			go func() {
				defer close(released)
				abandoned.Store(true)
				stream.Send(time.Now(), release)
			}()
			for range 10_000 { // without waiting for it: Send must be able to wait for us
				runtime.Gosched()
			}
			return false
		}
		stream.Send(time.Now(), acquire)
		p.command()
		asked.Store(true)
		p.answer("-NOSCRIPT No matching script.\r\n")
		<-released
		require.Equal(t, "0", p.lastArg(), "the acquire was sent behind its release")
		require.Equal(t, "1", p.lastArg())
	})
}

func TestAnAbandonedCallIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		c := call(box, 0)
		c.Abandoned = func(int) bool { return true }
		stream.Send(time.Now(), c)
		require.ErrorIs(t, box.reply(t, 0).Err, ErrNotSent)
		p.quiet()
	})
}

func TestAServerErrorIsTheReply(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		for i, text := range []string{"OOM command not allowed", "WRONGTYPE Operation", "BUSY Redis is busy"} {
			stream.Send(time.Now(), call(box, i))
			p.answer("-" + text + "\r\n")
			require.Equal(t, ServerError(text), box.reply(t, i).Err)
			require.NotErrorIs(t, box.reply(t, i).Err, ErrNotSent, "it was executed, as far as it went")
		}
		require.Equal(t, 1, s.dialed(), "the connection stays")
	})
}

// A primary that became a replica may have a successor at the same address.
func TestAReplicaIsLeftForANewConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		p.answer("-READONLY You can't write against a read only replica.\r\n")
		var refused ServerError
		require.ErrorAs(t, box.reply(t, 0).Err, &refused)
		require.True(t, p.gone())
		s.accept()
	})
}

// A frozen node: refused at once after Timeout, forced calls pass and stand
// behind what it was sent, and it is used again as soon as it answers.
func TestASilentNodeIsLeftAloneUntilItAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		s.set(func() { s.mute = true }) // the second connection that looks after it hangs too
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		time.Sleep(nodeTimeout + time.Millisecond)

		stream.Send(time.Now(), call(box, 1))
		var silent *SilentError
		require.ErrorAs(t, box.reply(t, 1).Err, &silent)
		require.ErrorIs(t, box.reply(t, 1).Err, ErrNotSent)
		require.True(t, silent.Timeout())

		forced := call(box, 2)
		forced.Force = true
		stream.Send(time.Now(), forced)
		time.Sleep(time.Minute) // however long it takes
		require.Equal(t, []int{1}, box.arrivals())

		require.Equal(t, "0", p.lastArg())
		require.Equal(t, "2", p.lastArg())
		p.answer(integer(5) + integer(6))
		require.Equal(t, int64(5), box.reply(t, 0).Int)
		require.Equal(t, int64(6), box.reply(t, 2).Int)
		stream.Send(time.Now(), call(box, 3))
		require.Equal(t, "3", p.lastArg(), "the same connection, used again")
		p.answer(integer(7))
		require.Equal(t, int64(7), box.reply(t, 3).Int)
	})
}

// A connection that is dead while the node lives: found by asking the node on
// a second one, and replaced.
func TestAHalfOpenConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		stream, h := newStream(s)
		stream.Start()
		defer stream.Close(0)
		dead := s.accept()
		synctest.Wait()
		box := newInbox()
		began := time.Now()
		stream.Send(began, call(box, 0))
		probe := s.accept()
		require.True(t, probe.gone(), "only looks whether somebody answers")
		p := s.accept()
		require.True(t, dead.gone())
		require.Error(t, box.reply(t, 0).Err)
		require.NotErrorIs(t, box.reply(t, 0).Err, ErrNotSent, "it may have arrived")
		ups, downs := h.count()
		require.Equal(t, 2, ups)
		require.Equal(t, 1, downs)
		stream.Send(time.Now(), call(box, 1))
		require.Equal(t, "1", p.lastArg())
	})
}

// How long it takes to find out does not depend on when the connection was looked at last.
func TestAHalfOpenConnectionIsFoundInTime(t *testing.T) {
	for eighth := range 8 {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			stream, _ := newStream(s)
			stream.Start()
			defer stream.Close(0)
			s.accept()
			synctest.Wait()
			time.Sleep(time.Duration(eighth) * stream.patience() / 8)
			began := time.Now()
			stream.Send(began, call(newInbox(), 0))
			s.accept()
			require.Equal(t, stream.patience(), time.Since(began))
		})
	}
}

// An idle connection is not suspected, however long nothing is asked.
func TestAnIdleConnectionIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		time.Sleep(24 * time.Hour)
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		require.Equal(t, "0", p.lastArg())
		p.answer(integer(1))
		require.Equal(t, int64(1), box.reply(t, 0).Int)
		require.Equal(t, 1, s.dialed())
	})
}

// A reply that stops half way is the end of the connection.
func TestAReplyCutOffFailsWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		stream.Send(time.Now(), call(box, 1))
		p.answer("$100\r\nabc")
		_ = p.conn.Close()
		require.Error(t, box.reply(t, 0).Err)
		require.Error(t, box.reply(t, 1).Err)
		s.accept()
	})
}

func TestNonsenseEndsTheConnection(t *testing.T) {
	for _, nonsense := range []string{"HTTP/1.1 400 Bad Request\r\n", ":12\r\n:13\r\n", "$99999999\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"} {
		bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
			box := newInbox()
			stream.Send(time.Now(), call(box, 0))
			go io.WriteString(p.conn, nonsense) //nolint:errcheck // the client leaves half way
			require.True(t, p.gone(), "%q", nonsense)
			box.reply(t, 0)
			s.accept()
		})
	}
}

func TestSaturationIsBoundedAndLeavesRoomForReleases(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, _ *peer) {
		box, now := newInbox(), time.Now()
		for i := range maxInFlight + 10 {
			stream.Send(now, call(box, i))
		}
		synctest.Wait()
		require.Len(t, box.arrivals(), 10, "refused beyond the bound")
		require.ErrorIs(t, box.reply(t, maxInFlight).Err, errSaturated)
		require.ErrorIs(t, box.reply(t, maxInFlight).Err, ErrNotSent)
		for i := range maxInFlight + 5 {
			c := call(box, 10000+i)
			c.Force = true
			stream.Send(now, c)
		}
		synctest.Wait()
		require.Len(t, box.arrivals(), 15, "twice the bound for forced calls, no more")
		require.Equal(t, 2*maxInFlight, stream.flights.len())
	})
}

func TestCloseSettlesEverything(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		for i := range 100 {
			stream.Send(time.Now(), call(box, i))
		}
		stream.Close(0)
		require.Len(t, box.arrivals(), 100)
		require.ErrorIs(t, box.reply(t, 99).Err, ErrClosed)
		stream.Send(time.Now(), call(box, 100))
		require.ErrorIs(t, box.reply(t, 100).Err, ErrClosed)
		require.True(t, p.gone())
		stream.Close(0)
	})
}

// What was sent before Close is still answered, within the grace given.
func TestCloseWaitsForAnswersItIsOwed(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box, began := newInbox(), time.Now()
		stream.Send(began, call(box, 0))
		stream.Send(began, call(box, 1))
		closed := make(chan struct{})
		go func() { stream.Close(nodeTimeout); close(closed) }()
		synctest.Wait()
		stream.Send(began, call(box, 2))
		require.ErrorIs(t, box.reply(t, 2).Err, ErrClosed)
		time.Sleep(nodeTimeout / 2)
		p.answer(integer(10))
		p.answer(integer(11))
		<-closed
		require.Equal(t, nodeTimeout/2, time.Since(began), "and no longer than that takes")
		require.Equal(t, int64(11), box.reply(t, 1).Int)
	})
}

func TestCloseGivesUpWhenItsGraceIsOver(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, _ *peer) {
		box, began := newInbox(), time.Now()
		stream.Send(began, call(box, 0))
		stream.Close(nodeTimeout)
		require.Equal(t, nodeTimeout, time.Since(began))
		require.ErrorIs(t, box.reply(t, 0).Err, ErrClosed)
	})
}

// Close must not wait for a dial, a greeting or a write that hangs.
func TestCloseEndsWhatHangs(t *testing.T) {
	t.Run("dial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.mute = true
			stream, _ := newStream(s)
			stream.Start()
			box, began := newInbox(), time.Now()
			stream.Send(began, call(box, 0))
			synctest.Wait()
			stream.Close(0)
			require.Zero(t, time.Since(began))
			require.ErrorIs(t, box.reply(t, 0).Err, ErrNotSent)
		})
	})
	t.Run("greeting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			stream, _ := newStream(s)
			stream.opt.Greet = func(_ context.Context, c *Session) error {
				_, err := c.Do("PING") // never answered
				return err
			}
			stream.Start()
			require.Equal(t, []string{"PING"}, s.accept().command())
			began := time.Now()
			stream.Close(0)
			require.Zero(t, time.Since(began))
		})
	})
	t.Run("write", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.deaf = true
			stream, _ := newStream(s)
			stream.Start()
			s.accept()
			synctest.Wait()
			box, began := newInbox(), time.Now()
			go stream.Send(began, call(box, 0))
			synctest.Wait()
			stream.Close(0)
			require.Zero(t, time.Since(began))
			require.ErrorIs(t, box.reply(t, 0).Err, ErrClosed)
		})
	})
}

// A peer that takes no bytes holds a sender up for two timeouts at most.
func TestAWriteHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.deaf = true
		stream, h := newStream(s)
		stream.Start()
		defer stream.Close(0)
		s.accept()
		synctest.Wait()
		time.Sleep(time.Minute) // an old connection: the deadline must be set anew
		box, began := newInbox(), time.Now()
		stream.Send(began, call(box, 0))
		require.LessOrEqual(t, time.Since(began), 2*nodeTimeout)
		require.GreaterOrEqual(t, time.Since(began), nodeTimeout)
		require.Error(t, box.reply(t, 0).Err)
		_, downs := h.count()
		require.Equal(t, 1, downs)
	})
}

func TestANodeThatIsDownIsRefusedWithItsReasonAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		down := errors.New("connection refused")
		s.deny = down
		stream, h := newStream(s)
		stream.Start()
		defer stream.Close(0)
		synctest.Wait()
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		require.ErrorIs(t, box.reply(t, 0).Err, down)
		require.ErrorIs(t, h.lastDown(), down)
		time.Sleep(time.Hour)
		tries := s.dialed()
		require.Greater(t, tries, 1800, "about one try a second")
		require.Less(t, tries, 7300, "no more than two a second")
		s.set(func() { s.deny = nil })
		p := s.accept()
		synctest.Wait()
		stream.Send(time.Now(), call(box, 1))
		require.Equal(t, "1", p.lastArg())
	})
}

// A reason kept from before must not refuse calls on the new connection, and
// the error of a call that never left says so.
func TestAnErrorWhileDisconnectedIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
		s.set(func() { s.deny = errors.New("gone") })
		_ = p.conn.Close()
		synctest.Wait()
		box := newInbox()
		stream.Send(time.Now(), call(box, 0))
		require.ErrorIs(t, box.reply(t, 0).Err, ErrNotSent)
		forced := call(box, 1)
		forced.Force = true
		stream.Send(time.Now(), forced)
		require.ErrorIs(t, box.reply(t, 1).Err, ErrNotSent, "force cannot help where there is no connection")
	})
}

// stuckConn's Write comes back only when the test says so, as that of a
// goroutine which the scheduler has forgotten.
type stuckConn struct {
	net.Conn
	entered, leave chan struct{}
}

func (c *stuckConn) Write([]byte) (int, error) {
	close(c.entered)
	<-c.leave
	return 0, io.ErrClosedPipe
}

// A write that ends after its connection was replaced must not keep what was
// sent meanwhile from being written on the new one.
func TestAWriteThatOutlivesItsConnectionLosesNoWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		stuck := &stuckConn{entered: make(chan struct{}), leave: make(chan struct{})}
		stream, _ := newStream(s)
		stream.opt.Dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := s.dial(ctx)
			if stuck.Conn == nil {
				stuck.Conn = conn
				return stuck, err
			}
			return conn, err
		}
		stream.Start()
		defer stream.Close(0)
		old := s.accept()
		synctest.Wait()
		box := newInbox()
		go stream.Send(time.Now(), call(box, 0))
		<-stuck.entered
		_ = old.conn.Close()
		p := s.accept()
		synctest.Wait()
		stream.Send(time.Now(), call(box, 1)) // whoever writes will take it along
		synctest.Wait()
		close(stuck.leave)
		require.Equal(t, "1", p.lastArg())
		p.answer(integer(1))
		require.Equal(t, int64(1), box.reply(t, 1).Int)
	})
}
