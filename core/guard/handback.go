package guard

import "net/http"

// handingBack is next for copies of r. What it has parsed is r's in the end: the body
// is read, so nobody outside could parse it again, and the server removes the files of
// an upload with the request that it knows.
func handingBack(r *http.Request, next handler) handler {
	return func(w http.ResponseWriter, inner *http.Request) error {
		defer func() {
			if r.Form == nil {
				r.Form, r.PostForm = inner.Form, inner.PostForm
			}
			if r.MultipartForm == nil {
				r.MultipartForm = inner.MultipartForm
			}
		}()
		return next(w, inner)
	}
}
