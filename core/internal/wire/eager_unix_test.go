//go:build unix

package wire

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// eagerPair is a reader and the other end of its connection.
func eagerPair(t *testing.T) (*eagerReader, net.Conn) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conn, err := net.Dial("tcp", server.Addr().String())
	require.NoError(t, err)
	peer, err := server.Accept()
	require.NoError(t, err)
	for _, c := range []io.Closer{server, conn, peer} {
		t.Cleanup(func() { _ = c.Close() })
	}
	return &eagerReader{Conn: conn, raw: rawConn(conn)}, peer
}

func (r *eagerReader) readFor(d time.Duration) (string, error) {
	if r.try == nil {
		r.try = r.lookAt
	}
	r.forCaller(time.Now().Add(d))
	defer r.forReader()
	b := make([]byte, 16)
	n, err := r.Read(b)
	return string(b[:n]), err
}

func TestACallerSeesWhatIsThereWithoutSleeping(t *testing.T) {
	r, peer := eagerPair(t)
	for r.seen == 0 { // what is sent may be late
		r.rest = 0
		require.Equal(t, "here", exchange(t, r, peer, "here"))
	}
	require.Equal(t, len("here"), r.seen)
	require.Zero(t, r.deadline, "none was needed")
}

// Who looked in vain sleeps instead for a while; then looks again, and the deadline that
// is left from when it slept does not spoil that.
func TestACallerThatLookedInVainSleeps(t *testing.T) {
	r, peer := eagerPair(t)
	_, err := r.readFor(2 * lookFor)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	for left := restLooks; left > 0; left-- {
		require.Equal(t, left, r.rest)
		require.Equal(t, "x", exchange(t, r, peer, "x"))
		require.Zero(t, r.seen)
	}
	for r.seen == 0 { // a reply may be late
		r.rest = 0
		require.NoError(t, r.SetReadDeadline(time.Now()))
		r.deadline = time.Now()
		require.Equal(t, "seen", exchange(t, r, peer, "seen"))
	}
	require.Zero(t, r.deadline)
}

// A late reply among many that are seen is no reason to sleep for long.
func TestACallerThatSeesMostRepliesLooksAgainSoon(t *testing.T) {
	r, peer := eagerPair(t)
	for r.luck < maxLuck {
		r.rest = 0
		require.Equal(t, "seen", exchange(t, r, peer, "seen"))
	}
	for _, rest := range []int{restLooks >> maxLuck, restLooks} { // the second time no other was seen between
		r.rest = 0
		_, err := r.readFor(2 * lookFor)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, rest, r.rest)
	}
}

func exchange(t *testing.T, r *eagerReader, peer net.Conn, text string) string {
	t.Helper()
	_, err := io.WriteString(peer, text)
	require.NoError(t, err)
	said, err := r.readFor(time.Minute)
	require.NoError(t, err)
	return said
}

func TestACallerThatLooksSeesTheEnd(t *testing.T) {
	r, peer := eagerPair(t)
	require.NoError(t, peer.Close())
	_, err := r.readFor(time.Minute)
	require.ErrorIs(t, err, io.EOF)

	r, _ = eagerPair(t)
	require.NoError(t, r.Close())
	_, err = r.readFor(time.Minute)
	require.ErrorIs(t, err, net.ErrClosed)
}

// A connection may read in its own way what is beneath it.
func TestACallerDoesNotLookBehindATypeOfOthers(t *testing.T) {
	r, _ := eagerPair(t)
	require.NotNil(t, r.raw)
	require.Nil(t, rawConn(struct{ *net.TCPConn }{r.Conn.(*net.TCPConn)}))
}
