package keyfuncs

import (
	"errors"
	"io"
	"net/http"
)

// bodyFunc is the single source of a kind that reads the body.
func bodyFunc(caller, name string, make func(string, sourceConfig) (source, error), opts []Option) Func {
	config, err := newSourceConfig("", opts)
	if err != nil {
		panic("keyfuncs: " + caller + ": " + err.Error())
	}
	return must(make(name, config)).single()
}

// readBody applies find to the body of r, unless there is none.
func (s source) readBody(r *http.Request, limit int64, find func([]byte) (string, bool, error)) (string, bool, error) {
	body, err := readBody(r, limit)
	if tooLarge, ok := errors.AsType[*BodyTooLargeError](err); ok {
		return "", false, tooLarge
	}
	var value string
	var present bool
	if err == nil && len(body) > 0 {
		value, present, err = find(body)
	}
	if err != nil {
		return "", false, &MalformedError{Source: s.kind, Name: s.name, Err: err}
	}
	return value, present, nil
}

// readBody returns the body of r, of at most limit bytes, and leaves r with a
// body that gives the handler the same bytes and the same error at their end.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, &BodyTooLargeError{Limit: limit}
	}
	replay, ok := r.Body.(*replayBody)
	if !ok || !replay.whole() {
		replay = newReplayBody(r.Body, limit)
		r.Body = replay
	}
	if outer, ok := errors.AsType[*http.MaxBytesError](replay.err); ok {
		return nil, &BodyTooLargeError{Limit: outer.Limit}
	}
	switch {
	case int64(len(replay.buf)) > limit:
		return nil, &BodyTooLargeError{Limit: limit}
	case replay.err != io.EOF:
		return nil, replay.err
	}
	return replay.buf, nil
}

// replayBody is a request body of which the beginning has been read ahead.
// Like any request body it is for one goroutine at a time.
type replayBody struct {
	buf  []byte        // what was read ahead; never written to, as several sources may share it
	off  int           // how much of buf was handed out
	err  error         // what the body said behind buf; nil: it goes on in rest
	rest io.ReadCloser // the original body
}

// newReplayBody reads ahead until the body ends, fails or exceeds limit.
func newReplayBody(body io.ReadCloser, limit int64) *replayBody {
	buf, err := io.ReadAll(&io.LimitedReader{R: body, N: limit})
	if err != nil {
		return &replayBody{buf: buf, err: err, rest: body}
	}
	if int64(len(buf)) < limit {
		return &replayBody{buf: buf, err: io.EOF, rest: body}
	}
	// The body has limit bytes or more; one more tells. A reader may return
	// its last byte together with its error, or nothing at all for a while.
	var next [1]byte
	n := 0
	for n == 0 && err == nil {
		n, err = body.Read(next[:])
	}
	return &replayBody{buf: append(buf, next[:n]...), err: err, rest: body}
}

// whole reports whether the entire body is at hand, none of it handed out.
func (b *replayBody) whole() bool { return b.off == 0 && b.err != nil }

func (b *replayBody) Read(p []byte) (int, error) {
	if b.off < len(b.buf) {
		n := copy(p, b.buf[b.off:])
		b.off += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.rest.Read(p)
}

// Close closes the original body. As with any request body, reading on is
// then an error.
func (b *replayBody) Close() error {
	b.buf, b.err = nil, http.ErrBodyReadAfterClose
	return b.rest.Close()
}
