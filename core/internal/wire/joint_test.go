package wire

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var jointScript = NewJointScript("return ARGV[1]", "return {}")

// partial is a call that may be part of a joint run.
func partial(to *inbox, number int) Call {
	n := strconv.Itoa(number)
	return Call{
		Req: NewRequest(jointScript, 2, "lock"+n, "queue"+n, n, "shared"),
		To:  insistent{to, theSame}, Node: number,
	}
}

// together has what is sent wait for the writer, as during a write.
func together(s *Stream, send func()) {
	for begun := false; !begun; runtime.Gosched() { // the write before may not be over
		s.mu.Lock()
		begun = !s.writing
		s.writing = true
		s.mu.Unlock()
	}
	send()
	s.mu.Lock()
	s.writing = false
	s.mu.Unlock()
	s.wakeWriter()
}

// jointRun is what a joint run of these calls looks like.
func jointRun(numbers ...int) []string {
	var locks, queues, args []string
	for _, n := range numbers {
		locks, queues = append(locks, "lock"+strconv.Itoa(n)), append(queues, "queue"+strconv.Itoa(n))
		args = append(args, strconv.Itoa(n))
	}
	words := append([]string{"EVALSHA", jointScript.joint.sha, strconv.Itoa(2 * len(numbers))}, locks...)
	return append(append(append(words, queues...), args...), "shared")
}

func TestALoneRunGoesByItself(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		alone := []string{"EVALSHA", jointScript.sha, "2", "lock7", "queue7", "7", "shared"}
		box := newInbox()
		stream.Send(time.Now(), partial(box, 7))
		require.Len(t, p.writes, 1, "written when Send returns")
		require.Equal(t, alone, p.command())
		p.answer(integer(1))
		require.Equal(t, Reply{Int: 1}, box.reply(t, 7))

		together(stream, func() { stream.Send(time.Now(), partial(box, 7)) })
		require.Equal(t, alone, p.command())
	})
}

func TestRunsThatWaitToBeWrittenGoOutAsOne(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   [3]Reply
	}{
		"one answer for all": {integer(2), [3]Reply{{Int: 2}, {Int: 2}, {Int: 2}}},
		"an answer for each": {"*3\r\n:1\r\n-OOM command not allowed\r\n:-1\r\n", [3]Reply{{Int: 1}, {Err: ServerError("OOM command not allowed")}, {Int: -1}}},
		"no answer":          {"-BUSY Redis is busy\r\n", [3]Reply{{Err: ServerError("BUSY Redis is busy")}, {Err: ServerError("BUSY Redis is busy")}, {Err: ServerError("BUSY Redis is busy")}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
				box := newInbox()
				together(stream, func() {
					for i := range 3 {
						stream.Send(time.Now(), partial(box, i))
					}
				})
				require.Equal(t, jointRun(0, 1, 2), p.command())
				p.quiet()
				p.answer(c.answer)
				for i, want := range c.want {
					require.Equal(t, want, box.reply(t, i))
				}
				require.Equal(t, uint64(3), stream.Commands())
				require.Equal(t, 1, s.dialed(), "the connection stays")
			})
		})
	}
}

// Claims of other keys go first, since nothing hangs on that. A claim of the same key
// stays behind its release, and so does whatever may concern it.
func TestAJointRunIsOvertakenByOtherKeysClaimsOnly(t *testing.T) {
	claim := func(box *inbox, number, key int) Call {
		return Call{Req: newClaim("lock"+strconv.Itoa(key), []byte("record"), time.Minute, "fence", 1), Tail: Tail{Arg: "t"}, To: box, Node: number}
	}
	for name, c := range map[string]struct {
		between func(*inbox) Call
		order   []string
	}{
		"another key's claim": {func(b *inbox) Call { return claim(b, 9, 9) }, []string{"SET lock9", "ZADD fence", "EVALSHA lock1 lock2"}},
		"its own key's claim": {func(b *inbox) Call { return claim(b, 9, 1) }, []string{"EVALSHA lock1", "SET lock1", "ZADD fence", "EVALSHA lock2"}},
		"a script":            {func(b *inbox) Call { return call(b, 9) }, []string{"EVALSHA lock1", "EVALSHA key", "EVALSHA lock2"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
				box := newInbox()
				together(stream, func() {
					stream.Send(time.Now(), partial(box, 1))
					stream.Send(time.Now(), c.between(box))
					stream.Send(time.Now(), partial(box, 2))
				})
				answers := map[string]string{"SET": "+OK\r\n", "ZADD": integer(1), "EVALSHA": integer(1)}
				for _, want := range c.order {
					args := p.command()
					said := args[0] + " " + args[1]
					if args[0] == "EVALSHA" {
						keys, _ := strconv.Atoi(args[2])
						said = args[0] + " " + strings.Join(args[3:3+(keys+1)/2], " ") // the queues are left out
					}
					require.Equal(t, want, said)
					p.answer(answers[args[0]])
				}
				p.quiet()
				for _, i := range []int{1, 2, 9} {
					require.Equal(t, int64(1), box.reply(t, i).Int)
				}
			})
		})
	}
}

func TestOnlyWhatIsAlikeIsJoined(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		other := partial(box, 2)
		other.Req = NewRequest(jointScript, 2, "lock2", "queue2", "2", "another")
		asked := partial(box, 3)
		asked.Abandoned = func(int) bool { return false }
		together(stream, func() {
			stream.Send(time.Now(), partial(box, 0))
			stream.Send(time.Now(), partial(box, 1))
			stream.Send(time.Now(), other)
			stream.Send(time.Now(), asked)
		})
		require.Equal(t, jointRun(0, 1), p.command())
		require.Equal(t, []string{"EVALSHA", jointScript.sha, "2", "lock2", "queue2", "2", "another"}, p.command())
		require.Equal(t, []string{"EVALSHA", jointScript.sha, "2", "lock3", "queue3", "3", "shared"}, p.command())
		p.quiet()
	})
}

func TestJointRunsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		const calls = 2*maxJoint + 1
		box := newInbox()
		together(stream, func() {
			for i := range calls {
				stream.Send(time.Now(), partial(box, i))
			}
		})
		for _, size := range []int{maxJoint, maxJoint, 1} {
			require.Equal(t, strconv.Itoa(2*size), p.command()[2])
		}
		p.answer(strings.Repeat(integer(5), 3))
		for i := range calls {
			require.Equal(t, int64(5), box.reply(t, i).Int)
			require.Equal(t, i, box.arrivals()[i])
		}
	})
}

// The server has forgotten both: the joint run is sent again as one, with its script,
// so that the next one finds it.
func TestAForgottenJointScriptIsSentWhole(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		together(stream, func() {
			stream.Send(time.Now(), partial(box, 0))
			stream.Send(time.Now(), partial(box, 1))
		})
		stream.Send(time.Now(), call(box, 2))
		require.Equal(t, jointRun(0, 1), p.command())
		require.Equal(t, "2", p.lastArg())
		p.answer("-NOSCRIPT No matching script.\r\n")
		again := jointRun(0, 1)
		again[0], again[1] = "EVAL", jointScript.joint.source
		require.Equal(t, again, p.command())
		require.Empty(t, box.arrivals(), "the callers do not hear of it")
		p.answer(integer(12) + "*2\r\n" + integer(10) + integer(11))
		for i := range 3 {
			require.Equal(t, Reply{Int: int64(10 + i)}, box.reply(t, i))
		}
		require.Equal(t, []int{2, 0, 1}, box.arrivals())
	})
}

// What a server says that knows no script at all is the answer, to one and to many.
func TestAScriptIsSentWholeOnce(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		const unknown = "-NOSCRIPT No matching script.\r\n"
		refused := func(i int) {
			var said ServerError
			require.ErrorAs(t, box.reply(t, i).Err, &said)
			require.True(t, said.noScript())
		}
		stream.Send(time.Now(), partial(box, 0))
		p.command()
		p.answer(unknown)
		require.Equal(t, "EVAL", p.command()[0])
		p.answer(unknown)
		refused(0)

		together(stream, func() {
			stream.Send(time.Now(), partial(box, 1))
			stream.Send(time.Now(), partial(box, 2))
		})
		stream.Send(time.Now(), call(box, 3))
		p.command()
		p.lastArg()
		p.answer(unknown)
		require.Equal(t, "EVAL", p.command()[0])
		p.answer(integer(13) + unknown)
		for i := 1; i <= 2; i++ {
			refused(i)
		}
		require.Equal(t, Reply{Int: 13}, box.reply(t, 3))
	})
}

// Whether the server has executed a joint run is not known for any of its calls: each is
// sent again by itself, and a joint run that was not written yet likewise.
func TestCallsOfAJointRunAreSentAgainOneByOne(t *testing.T) {
	for name, answer := range map[string]string{
		"no answer":         "",
		"half an answer":    "*2\r\n:1\r\n",
		"too few answers":   "*1\r\n:1\r\n",
		"forgotten, in one": "-NOSCRIPT No matching script.\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server, stream *Stream, p *peer) {
				box := newInbox()
				together(stream, func() {
					stream.Send(time.Now(), partial(box, 0))
					stream.Send(time.Now(), partial(box, 1))
				})
				require.Equal(t, jointRun(0, 1), p.command())
				together(stream, func() {
					stream.Send(time.Now(), partial(box, 2))
					stream.Send(time.Now(), partial(box, 3))
					p.answer(answer)
					_ = p.conn.Close()
					synctest.Wait()
				})
				next := s.accept()
				for i := range 4 {
					require.Equal(t, []string{"lock" + strconv.Itoa(i), "queue" + strconv.Itoa(i)}, next.command()[3:5])
					next.answer(integer(10 + i))
				}
				next.quiet()
				for i := range 4 {
					require.Equal(t, Reply{Int: int64(10 + i), Repeated: true}, box.reply(t, i))
				}
			})
		})
	}
}

func TestCloseWaitsForAJointRun(t *testing.T) {
	bubble(t, func(t *testing.T, _ *server, stream *Stream, p *peer) {
		box := newInbox()
		closed := make(chan struct{})
		together(stream, func() {
			stream.Send(time.Now(), partial(box, 0))
			stream.Send(time.Now(), partial(box, 1))
			go func() {
				defer close(closed)
				stream.Close(nodeTimeout)
			}()
			synctest.Wait()
		})
		require.Equal(t, jointRun(0, 1), p.command())
		p.answer(integer(3))
		<-closed
		require.Equal(t, Reply{Int: 3}, box.reply(t, 0))
		require.Equal(t, Reply{Int: 3}, box.reply(t, 1))
	})
}
