package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// watcher tells of the final status before it is sent, and is otherwise in
// nobody's way.
type watcher struct {
	http.ResponseWriter
	told bool
	deaf bool // the client knows no 1xx
	tell func(status int, h http.Header)
}

// watched runs next and tells of what it answers.
func watched(w http.ResponseWriter, r *http.Request, next handler, tell func(int, http.Header)) error {
	watch, writer := newWatcher(w, r, tell)
	err := next(writer, r)
	if err == nil { // otherwise whoever gets the error may answer yet
		watch.tellOnce(http.StatusOK)
	}
	return err
}

// newWatcher returns the writer for the handler; as with the recorder it can be
// hijacked only where the connection can.
func newWatcher(w http.ResponseWriter, r *http.Request, tell func(int, http.Header)) (*watcher, http.ResponseWriter) {
	watch := &watcher{ResponseWriter: w, tell: tell, deaf: !hearsInterim(r)}
	if r.ProtoMajor == 1 && canHijack(w) {
		return watch, hijackableWatcher{watch}
	}
	return watch, watch
}

func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watcher) WriteHeader(status int) {
	switch {
	case status < 200 && status != http.StatusSwitchingProtocols:
		if !w.deaf {
			innermost(w.ResponseWriter).WriteHeader(status)
		}
	default:
		w.tellOnce(status)
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *watcher) tellOnce(status int) {
	if !w.told {
		w.told = true
		w.tell(status, w.Header())
	}
}

// start is what a handler does that writes without saying a status. Nor is one said to
// the writer outside: some look at the content then, to tell its type.
func (w *watcher) start() { w.tellOnce(http.StatusOK) }

func (w *watcher) Write(p []byte) (int, error) {
	w.start()
	return w.ResponseWriter.Write(p)
}

func (w *watcher) WriteString(s string) (int, error) {
	w.start()
	return io.WriteString(w.ResponseWriter, s)
}

func (w *watcher) ReadFrom(src io.Reader) (int64, error) {
	w.start()
	return io.Copy(w.ResponseWriter, src)
}

func (w *watcher) Flush() { _ = w.FlushError() }

func (w *watcher) FlushError() error {
	w.start()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

type hijackableWatcher struct{ *watcher }

func (w hijackableWatcher) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.told = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
