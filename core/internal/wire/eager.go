package wire

import (
	"net"
	"runtime"
	"syscall"
	"time"
)

const (
	lookFor   = 50 * time.Microsecond // how long a caller looks for a reply before it sleeps
	restLooks = 64                    // how many times it does not, after it looked in vain
	maxLuck   = 6                     // how many looks in a row that were not in vain count: each halves that
)

// eagerReader reads from a connection. What a caller reads for itself it looks for
// without going to sleep at once: to fall asleep and be woken takes as long as a server on
// the same machine takes to answer. Where replies take longer it hardly ever looks.
type eagerReader struct {
	net.Conn
	raw syscall.RawConn // nil where one cannot look without going to sleep

	until    time.Time // end of a caller's patience; zero: the reader reads
	deadline time.Time // of Conn, if a caller has set one
	rest     int       // how many times not to look
	luck     int       // looks in a row that were not in vain
	into     []byte    // where to put what is seen
	seen     int       // how much that was
	try      func(fd uintptr) bool
}

func newEagerReader(conn net.Conn) *eagerReader {
	r := &eagerReader{Conn: conn}
	if runtime.GOMAXPROCS(0) > 1 { // who looks keeps a processor from others
		r.raw = rawConn(conn)
	}
	r.try = r.lookAt
	return r
}

// rawConn does not look behind a type that it does not know: Read may be that type's own.
func rawConn(conn net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, _ = conn.SyscallConn()
	case *net.UnixConn:
		raw, _ = conn.SyscallConn()
	}
	return raw
}

// forReader ends a caller's reading.
func (r *eagerReader) forReader() { r.until = time.Time{} }

// forCaller begins a caller's reading, which lasts until then at most.
func (r *eagerReader) forCaller(until time.Time) { r.until = until }

// unbound takes the reader's deadline away, which might end a look.
func (r *eagerReader) unbound() {
	r.deadline = time.Time{}
	_ = r.SetReadDeadline(r.deadline)
}

// Read implements io.Reader.
func (r *eagerReader) Read(p []byte) (int, error) {
	if r.until.IsZero() {
		return r.Conn.Read(p)
	}
	if n := r.look(p); n > 0 {
		return n, nil
	}
	if r.deadline != r.until {
		r.deadline = r.until
		_ = r.SetReadDeadline(r.deadline)
	}
	return r.Conn.Read(p)
}

// look returns 0 when nothing was to be seen, or the connection has ended.
func (r *eagerReader) look(p []byte) int {
	switch {
	case r.raw == nil:
		return 0
	case r.rest > 0:
		r.rest--
		return 0
	case !r.deadline.IsZero():
		r.unbound()
	}
	r.into, r.seen = p, 0
	_ = r.raw.Read(r.try)
	r.into = nil
	if r.seen > 0 {
		r.luck = min(r.luck+1, maxLuck)
	}
	return r.seen
}

// inVain has fewer looks follow the fewer replies were seen before. One that is late
// among many that are not says nothing; where most are, looking takes time from others.
func (r *eagerReader) inVain() { r.rest, r.luck = restLooks>>r.luck, 0 }
