package guard

import (
	"errors"
	"net/http"
)

// attempt runs next and reports whether it broke off. A handler does so by a
// panic with [http.ErrAbortHandler], as httputil.ReverseProxy does when its origin
// goes away in the middle of a body. Where the client has nothing of that yet and
// a stored response can stand in, it is an error like any other (RFC 5861 §4); it
// is a panic wherever it cannot be hidden, and any other panic always is.
func (rec *recorder) attempt(next handler, w http.ResponseWriter, r *http.Request, standsIn bool) (aborted bool, err error) {
	defer func() {
		if !standsIn || rec.live {
			return
		}
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			panic(v)
		}
	}()
	return false, next(w, r)
}

// errAborted is a run that broke off, which a stale response may stand in for.
var errAborted = errors.New("guard: the handler broke its response off")
