package ginlock

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer is a gin.ResponseWriter over any http.ResponseWriter, for handlers
// whose response is captured. As gin's own it sends the status with the first
// byte, so that c.Status may still be overruled.
type writer struct {
	http.ResponseWriter
	status int
	size   int // -1 until the header went out
}

var _ gin.ResponseWriter = (*writer)(nil)

func newWriter(w http.ResponseWriter) *writer {
	return &writer{ResponseWriter: w, status: http.StatusOK, size: -1}
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *writer) Status() int                 { return w.status }
func (w *writer) Size() int                   { return w.size }
func (w *writer) Written() bool               { return w.size >= 0 }

// WriteHeader passes an informational status on at once, as net/http does.
func (w *writer) WriteHeader(code int) {
	switch {
	case w.Written():
	case code >= 100 && code < 200 && code != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(code)
	case code > 0:
		w.status = code
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.ResponseWriter.Write(p)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	n, err := io.WriteString(w.ResponseWriter, s)
	w.size += n
	return n, err
}

func (w *writer) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.size = max(w.size, 0)
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// CloseNotify is only there because gin.ResponseWriter demands it.
func (w *writer) CloseNotify() <-chan bool {
	//lint:ignore SA1019 gin's own writer has it
	if notifier, ok := w.ResponseWriter.(http.CloseNotifier); ok {
		return notifier.CloseNotify()
	}
	return nil
}

func (w *writer) Pusher() http.Pusher {
	pusher, _ := w.ResponseWriter.(http.Pusher)
	return pusher
}
