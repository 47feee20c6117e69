package guard

import (
	"bytes"
	"io"
	"net/http"
)

// readAhead takes up to limit bytes of the body off the connection and puts
// them back in front of what is left. It also lets net/http notice a client
// that goes away while it waits: the server watches the connection only once
// the body was read.
//
// An error is kept for the handler, which finds it where it would have.
func readAhead(r *http.Request, limit int64) {
	if limit <= 0 || r.Body == nil || r.Body == http.NoBody || !readableAhead(r) {
		return
	}
	// One byte more finds the end of a body of exactly limit bytes.
	head, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	body := &aheadBody{Closer: r.Body}
	switch {
	case err != nil:
		body.Reader = io.MultiReader(bytes.NewReader(head), failing{err})
	case int64(len(head)) > limit:
		body.Reader = io.MultiReader(bytes.NewReader(head), r.Body)
	default:
		body.Reader = bytes.NewReader(head)
	}
	r.Body = body
}

// readableAhead reports whether the sender may be expected to send its body
// without hearing from the handler. A stream of unknown length on HTTP/2 may be
// one half of a dialogue. Another protocol begins behind the body (RFC 9110 §7.8),
// so that asking for one is no reason to wait for it under the lock.
func readableAhead(r *http.Request) bool {
	return r.Method != http.MethodConnect && (r.ContentLength >= 0 || r.ProtoMajor < 2)
}

type aheadBody struct {
	io.Reader
	io.Closer
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
