package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests of a Stream run in a synctest bubble against a server over
// net.Pipe: time passes when everybody waits, so nothing here depends on how
// fast the machine is.

// nodeTimeout is the Timeout of the streams under test, in the bubble's time.
const nodeTimeout = time.Second

// inbox receives the replies of many calls, each under its call's node number.
type inbox struct {
	mu      sync.Mutex
	replies map[int]Reply // guarded by mu
	order   []int         // guarded by mu
	came    chan struct{} // is sent to after each, where the test is in no bubble
}

func newInbox() *inbox { return &inbox{replies: map[int]Reply{}} }

func (b *inbox) Receive(call int, r Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replies[call] = r
	b.order = append(b.order, call)
	if b.came != nil {
		b.came <- struct{}{}
	}
}

// arrivals are the calls answered so far, in the order of their answers.
func (b *inbox) arrivals() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int(nil), b.order...)
}

func (b *inbox) reply(t *testing.T, call int) Reply {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Contains(t, b.replies, call, "not answered")
	return b.replies[call]
}

// server is a scripted Redis: each connection is handed to the test, which
// answers in its place.
type server struct {
	t       *testing.T
	arrived chan *peer

	mu    sync.Mutex
	dials int   // guarded by mu
	deny  error // guarded by mu
	mute  bool  // dialing hangs. Guarded by mu
	deaf  bool  // new connections are not read from. Guarded by mu
}

func newServer(t *testing.T) *server {
	return &server{t: t, arrived: make(chan *peer, 1024)}
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	deny, mute, deaf := s.deny, s.mute, s.deaf
	s.mu.Unlock()
	switch {
	case deny != nil:
		return nil, deny
	case mute:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	p := &peer{t: s.t, conn: theirs, commands: make(chan []string, 4*maxInFlight), writes: make(chan int, 4*maxInFlight)}
	if !deaf {
		go p.listen()
	}
	s.t.Cleanup(func() { _ = theirs.Close() })
	s.arrived <- p
	return &countedConn{Conn: ours, writes: p.writes}, nil
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) dialed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// accept is the next connection.
func (s *server) accept() *peer {
	s.t.Helper()
	select {
	case p := <-s.arrived:
		return p
	case <-time.After(time.Hour):
		require.FailNow(s.t, "nobody connects")
		return nil
	}
}

// countedConn tells the length of each write.
type countedConn struct {
	net.Conn
	writes chan int
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.writes <- len(b)
	return c.Conn.Write(b)
}

// peer is the server's end of one connection.
type peer struct {
	t        *testing.T
	conn     net.Conn
	commands chan []string // as they arrive; closed when the client has gone
	writes   chan int      // lengths of the client's writes
}

// listen takes commands as the system's buffers would, answered or not.
func (p *peer) listen() {
	defer close(p.commands)
	in := bufio.NewReader(p.conn)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		p.commands <- args
	}
}

// command is the client's next command.
func (p *peer) command() []string {
	p.t.Helper()
	select {
	case args, ok := <-p.commands:
		require.True(p.t, ok, "the client ended the connection")
		return args
	case <-time.After(time.Hour):
		require.FailNow(p.t, "no command comes")
		return nil
	}
}

// lastArg is what tells the commands of these tests apart.
func (p *peer) lastArg() string {
	p.t.Helper()
	args := p.command()
	return args[len(args)-1]
}

// quiet asserts that nothing more has come.
func (p *peer) quiet() {
	p.t.Helper()
	synctest.Wait()
	select {
	case args, ok := <-p.commands:
		if ok {
			require.FailNow(p.t, "unexpected command", "%q", args)
		}
	default:
	}
}

// gone reports whether the client has ended the connection.
func (p *peer) gone() bool {
	synctest.Wait()
	for {
		select {
		case _, ok := <-p.commands:
			if !ok {
				return true
			}
		default:
			return false
		}
	}
}

func (p *peer) answer(reply string) {
	p.t.Helper()
	_, err := io.WriteString(p.conn, reply)
	require.NoError(p.t, err)
}

func integer(n int) string { return ":" + strconv.Itoa(n) + "\r\n" }

// readCommand is the server's side of the protocol, written apart from the
// client's so that one cannot hide the other's mistakes.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readSize(in, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readSize(in, '$')
		if err != nil {
			return nil, err
		}
		data := make([]byte, size+2)
		if _, err := io.ReadFull(in, data); err != nil {
			return nil, err
		}
		if string(data[size:]) != "\r\n" {
			return nil, errors.New("bulk without its end")
		}
		args[i] = string(data[:size])
	}
	return args, nil
}

func readSize(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 4 || line[0] != kind || !strings.HasSuffix(line, "\r\n") {
		return 0, errors.New("not a header: " + strconv.Quote(line))
	}
	return strconv.Atoi(line[1 : len(line)-2])
}

// happenings are what a Stream reports of its connections.
type happenings struct {
	mu   sync.Mutex
	ups  int     // guarded by mu
	down []error // guarded by mu
}

func (h *happenings) up() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ups++
}

func (h *happenings) broke(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = append(h.down, err)
}

func (h *happenings) count() (ups, downs int) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ups, len(h.down)
}

func (h *happenings) lastDown() error {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down[len(h.down)-1]
}

func newStream(s *server) (*Stream, *happenings) {
	h := &happenings{}
	return NewStream(Options{
		Dial:    s.dial,
		Greet:   func(context.Context, *Session) error { return nil },
		Up:      h.up,
		Down:    h.broke,
		Timeout: nodeTimeout, DialTimeout: 2 * nodeTimeout,
	}), h
}

// bubble runs a test with a connected stream and the server's end of it.
func bubble(t *testing.T, test func(t *testing.T, s *server, stream *Stream, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		stream, _ := newStream(s)
		stream.Start()
		defer stream.Close(0)
		p := s.accept()
		synctest.Wait()
		test(t, s, stream, p)
	})
}

var testScript = NewScript("return ARGV[1]")

func call(to *inbox, number int) Call {
	return Call{
		Req: &Request{Script: testScript, Keys: []string{"key"}, Args: []string{strconv.Itoa(number)}},
		To:  to, Node: number,
	}
}

// newClaim is a claim of its own.
func newClaim(lock string, record []byte, ttl time.Duration, fence string, score uint64) *Request {
	r := new(Request)
	r.Claim(lock, record, ttl, fence, score)
	return r
}
