//go:build unix

package wire

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lateConn is read from too late, once, as in a process that was suspended.
type lateConn struct {
	net.Conn
	late *atomic.Bool
}

func (c *lateConn) NetConn() net.Conn { return c.Conn }

// SetWriteDeadline does nothing: calls are written that were made long ago.
func (*lateConn) SetWriteDeadline(time.Time) error { return nil }

func (c *lateConn) Read(p []byte) (int, error) {
	for c.late.Load() {
		if unread(c) {
			c.late.Store(false)
			return 0, os.ErrDeadlineExceeded
		}
		time.Sleep(time.Millisecond)
	}
	return c.Conn.Read(p)
}

// tcpStream is a stream, on connections that are late while late says so, to a server
// that is the test.
func tcpStream(t *testing.T, late *atomic.Bool) (stream *Stream, peer func() net.Conn, dials *atomic.Int64) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	dials = new(atomic.Int64)
	stream = NewStream(Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			dials.Add(1)
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.Addr().String())
			return &lateConn{conn, late}, err
		},
		Greet: func(context.Context, *Session) error { return nil },
		Up:    func() {}, Down: func(error) {},
		Timeout: time.Minute, DialTimeout: time.Minute,
	})
	stream.Start()
	t.Cleanup(func() {
		late.Store(false) // where nothing came
		stream.Close(0)
	})
	return stream, func() net.Conn {
		conn, err := server.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		return conn
	}, dials
}

// long is a time at which what was sent has been silent for too long.
func long() time.Time { return time.Now().Add(-time.Hour) }

func TestANodeWhoseAnswerIsUnreadIsNotSilent(t *testing.T) {
	stream, accept, _ := tcpStream(t, new(atomic.Bool))
	peer := accept()
	told, resume := make(chan struct{}), make(chan struct{})
	first := call(nil, 0)
	first.To = receiverFunc(func(Reply) { told <- struct{}{}; <-resume })
	stream.Send(time.Now(), first)
	_, err := io.WriteString(peer, ":1\r\n")
	require.NoError(t, err)
	<-told // the reader reads nothing now

	box := newInbox()
	box.came = make(chan struct{}, 8)
	stream.Send(long(), call(box, 1))
	stream.Send(time.Now(), call(box, 2))
	<-box.came
	var silent *SilentError
	require.ErrorAs(t, box.replies[2].Err, &silent)

	_, err = io.WriteString(peer, ":1\r\n")
	require.NoError(t, err)
	stream.mu.Lock()
	conn := stream.conn
	stream.mu.Unlock()
	for !unread(conn) {
		time.Sleep(time.Millisecond)
	}
	stream.Send(time.Now(), call(box, 3))
	close(resume)
	<-box.came
	require.Equal(t, Reply{Int: 1}, box.replies[1])
	_, err = io.WriteString(peer, ":3\r\n")
	require.NoError(t, err)
	<-box.came
	require.Equal(t, Reply{Int: 3}, box.replies[3])
}

func TestAConnectionWhoseAnswerIsUnreadIsNotDead(t *testing.T) {
	late := new(atomic.Bool)
	late.Store(true)
	stream, accept, dials := tcpStream(t, late)
	peer, box := accept(), newInbox()
	box.came = make(chan struct{}, 8)
	stream.Send(long(), call(box, 1))
	_, err := io.WriteString(peer, ":1\r\n")
	require.NoError(t, err)
	<-box.came
	require.Equal(t, Reply{Int: 1}, box.replies[1])
	require.False(t, late.Load(), "it was read from too late")
	require.EqualValues(t, 1, dials.Load())
}
