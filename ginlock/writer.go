package ginlock

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer is a gin.ResponseWriter over any http.ResponseWriter, for handlers
// whose response is captured. As gin's own it sends the status with the first
// byte, so that c.Status may still be overruled. It keeps a header without content
// back until the chain has returned: it may be left to others to write that.
type writer struct {
	http.ResponseWriter
	ctx    context.Context // the handler's
	status int
	size   int  // -1 until the header is settled
	sent   bool // the header went out
}

var _ gin.ResponseWriter = (*writer)(nil)

// newWriter returns a writer with the status that stands so far: gin has chosen one
// for requests without a route.
func newWriter(ctx context.Context, w http.ResponseWriter, status int) *writer {
	return &writer{ResponseWriter: w, ctx: ctx, status: status, size: -1}
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *writer) Status() int                 { return w.status }
func (w *writer) Size() int                   { return w.size }
func (w *writer) Written() bool               { return w.size >= 0 }

// WriteHeader passes an informational status on at once, as net/http does, and an
// error that comes too late: the Guard does not store what was answered before.
func (w *writer) WriteHeader(code int) {
	switch {
	case w.Written() && code >= http.StatusInternalServerError:
		w.send()
		w.ResponseWriter.WriteHeader(code)
	case w.Written():
	case code >= 100 && code < 200 && code != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(code)
	case code > 0:
		w.status = code
	}
}

func (w *writer) WriteHeaderNow() { w.size = max(w.size, 0) }

func (w *writer) send() {
	w.WriteHeaderNow()
	if !w.sent {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.send()
	n, err := w.ResponseWriter.Write(p)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	w.send()
	n, err := io.WriteString(w.ResponseWriter, s)
	w.size += n
	return n, err
}

func (w *writer) Flush() {
	w.send()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.size, w.sent = max(w.size, 0), true
	return conn, rw, err
}

// CloseNotify is what c.Stream ends by. There is more than one client whose leaving
// ends a response that may be shared, and the context knows.
func (w *writer) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(w.ctx, func() { gone <- true })
	return gone
}

func (w *writer) Pusher() http.Pusher {
	pusher, _ := w.ResponseWriter.(http.Pusher)
	return pusher
}
