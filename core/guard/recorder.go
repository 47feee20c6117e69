package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// recorder keeps a response in memory until it is whole. What cannot be kept
// there goes to the client at once, and everything after it: a response larger
// than the limit, one that is flushed, a connection that is hijacked.
//
// The handler gets a header map of its own: what outer middleware put into the
// client's, a request id above all, is none of the response's.
type recorder struct {
	w     http.ResponseWriter
	limit int64

	header  http.Header // the handler's
	cookies []string    // that w had when the handler began
	sent    http.Header // copy of header when the status was written
	status  int         // 0 until then
	tacit   bool        // which nobody has said: there is content, so it is 200
	body    []byte
	live    bool
	onLive  func() // told before the first byte goes out; nil: nobody cares
	broken  error  // of the client's connection
	deaf    bool   // the client knows no 1xx

	spoiled bool // the handler has failed after it had answered
	refused bool // what is recorded answers for the handler, which did not run
}

// markRefused says so of the response that w records, if it does.
func markRefused(w http.ResponseWriter) {
	switch w := w.(type) {
	case *recorder:
		w.refused = true
	case hijackable:
		w.refused = true
	}
}

// newRecorder returns the writer for the handler. It can be hijacked only where
// the connection can: handlers ask by type assertion.
func newRecorder(w http.ResponseWriter, r *http.Request, limit int64) (*recorder, http.ResponseWriter) {
	rec := &recorder{w: w, limit: limit, header: make(http.Header), cookies: slices.Clone(cookiesOf(w.Header())), deaf: !hearsInterim(r)}
	if r.ProtoMajor == 1 && canHijack(w) {
		return rec, hijackable{rec}
	}
	return rec, rec
}

func canHijack(w http.ResponseWriter) bool {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return true
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = inner.Unwrap()
	}
}

func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}

func (rec *recorder) Header() http.Header { return rec.header }

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.w }

func (rec *recorder) WriteHeader(status int) {
	switch {
	case rec.status != 0:
		// net/http would ignore it. It is what says that a panic was recovered inside.
		rec.spoiled = rec.spoiled || status >= 500
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		rec.inform(status)
	default:
		rec.status = status
		rec.sent = rec.header.Clone()
	}
}

// hearsInterim: no 1xx is sent to a client of HTTP/1.0 (RFC 9110 §15.2).
func hearsInterim(r *http.Request) bool { return r.ProtoAtLeast(1, 1) }

// inform passes a 1xx on at once, with the fields it is sent with. It goes to
// the server's own writer: those of gin and echo would take it for the final one.
func (rec *recorder) inform(status int) {
	if rec.deaf {
		return
	}
	server := innermost(rec.w)
	outer := server.Header()
	before := outer.Clone()
	addHeader(outer, rec.header)
	server.WriteHeader(status)
	clear(outer)
	for name, values := range before {
		outer[name] = values
	}
}

func (rec *recorder) Write(p []byte) (int, error) {
	if !rec.startBody(int64(len(p))) {
		return 0, http.ErrBodyNotAllowed
	}
	if rec.live {
		return rec.w.Write(p)
	}
	rec.body = append(rec.body, p...)
	return len(p), nil
}

func (rec *recorder) WriteString(s string) (int, error) {
	if !rec.startBody(int64(len(s))) {
		return 0, http.ErrBodyNotAllowed
	}
	if rec.live {
		return io.WriteString(rec.w, s)
	}
	rec.body = append(rec.body, s...)
	return len(s), nil
}

// ReadFrom lets a file that is too large to keep go the short way to the socket.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	if !rec.startBody(0) {
		return 0, http.ErrBodyNotAllowed
	}
	var n int64
	for !rec.live {
		if len(rec.body) == cap(rec.body) {
			rec.body = slices.Grow(rec.body, 512)
		}
		m, err := src.Read(rec.body[len(rec.body):cap(rec.body)])
		rec.body = rec.body[:len(rec.body)+m]
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if int64(len(rec.body)) > rec.limit {
			rec.goLive()
		}
	}
	m, err := io.Copy(rec.w, src)
	return n + m, err
}

// startBody makes room for n bytes of content, in memory or on the wire.
func (rec *recorder) startBody(n int64) bool {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
		rec.tacit = n > 0
	}
	if !bodyAllowed(rec.status) {
		return false
	}
	if !rec.live && int64(len(rec.body))+n > rec.limit {
		rec.goLive()
	}
	return true
}

// goLive sends what there is. From here on nothing is kept. A tacit status is left to
// the first byte: some writers outside look at the content then, to tell its type.
func (rec *recorder) goLive() {
	if rec.live {
		return
	}
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	rec.beginLive()
	addHeader(rec.w.Header(), rec.sent)
	if !rec.tacit || rec.status != http.StatusOK {
		rec.w.WriteHeader(rec.status)
	}
	if len(rec.body) > 0 {
		_, rec.broken = rec.w.Write(rec.body)
		rec.body = nil
	}
}

func (rec *recorder) beginLive() {
	rec.live = true
	if rec.onLive != nil {
		rec.onLive()
	}
}

func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError is what http.ResponseController calls.
func (rec *recorder) FlushError() error {
	rec.goLive()
	if rec.broken != nil {
		return rec.broken
	}
	return http.NewResponseController(rec.w).Flush()
}

// finish ends the exchange and reports whether the response is whole and still
// here. Trailers can only be sent with a response, so one that has any is sent.
func (rec *recorder) finish() bool {
	if rec.status == 0 && !rec.live {
		rec.WriteHeader(http.StatusOK)
	}
	trailers := rec.trailers()
	if len(trailers) > 0 {
		rec.goLive()
	}
	for name, values := range trailers {
		rec.w.Header()[name] = values
	}
	return !rec.live && !rec.cutShort()
}

// trailers are the fields declared in Trailer that were set, and those net/http
// knows by prefix.
func (rec *recorder) trailers() http.Header {
	found := http.Header{}
	for _, line := range rec.sent["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values := rec.header[name]; len(values) > 0 { // a field without values never ends a stream of HTTP/2
				found[name] = values
			}
		}
	}
	for name, values := range rec.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			found[name] = values
		}
	}
	return found
}

// cutShort reports a body that is not as long as it was said to be, or was to be.
func (rec *recorder) cutShort() bool {
	if rec.spoiled {
		return true
	}
	lines := rec.sent["Content-Length"]
	return len(lines) > 0 && bodyAllowed(rec.status) && lines[0] != strconv.Itoa(len(rec.body))
}

// hijackable is a recorder on a connection that can be taken over.
type hijackable struct{ *recorder }

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.w).Hijack()
	if err == nil {
		h.status = http.StatusSwitchingProtocols
		h.beginLive()
	}
	return conn, rw, err
}

// addHeader puts the fields of a response among those that outer middleware has
// set. Fields that are lists by nature add up; of all others the inner wins, as
// it would have without a Guard.
func addHeader(outer, inner http.Header) {
	for name, values := range inner {
		if listField(name) && len(outer[name]) > 0 {
			outer[name] = append(slices.Clip(outer[name]), values...)
			continue
		}
		outer[name] = slices.Clip(values)
	}
}

func listField(name string) bool {
	switch name {
	case "Vary", "Set-Cookie", "Link", "Server-Timing", "Cache-Status", "Via", "Www-Authenticate":
		return true
	}
	return false
}
