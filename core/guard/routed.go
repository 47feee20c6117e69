package guard

import (
	"context"
	"net/http"
	"reflect"
	"sync"
)

// Routed is a request with its route, as an adapter of a framework with a router
// of its own makes it: [NewRouted], SetPathValue for each parameter, [Guard.Hit],
// and where that reports false [Guard.ServeRouted]. It is for one request and one
// goroutine.
//
// The request that a key function gets of it is on loan: after a hit it is made
// into another one. What the handler gets is the handler's.
type Routed struct {
	request *http.Request // &loan, or a copy of its own
	server  *http.Request // what it is a copy of

	loan http.Request
	// blank has no more than a map for path values, which loan uses as well.
	// SetPathValue would make one for every request.
	blank http.Request
	names []string // of the values that are in the map

	key   string
	err   error
	asked bool // for the key
}

var routeds = sync.Pool{New: func() any { return new(Routed) }}

// NewRouted returns a copy of r with ctx. pattern is the route as its router
// writes it: /orders/:id, /orders/{id} or /files/*path.
func NewRouted(ctx context.Context, r *http.Request, pattern string) *Routed {
	if r.Pattern != "" || hasValues(r) {
		return newRoutedTwice(ctx, r, pattern)
	}
	o := routeds.Get().(*Routed)
	if o.names == nil {
		o.names = make([]string, 0, 4)
		o.blank.SetPathValue("", "") // makes the map
	}
	o.loan = *o.blank.WithContext(ctx) // the copy that WithContext makes stays on the stack
	o.request, o.server = &o.loan, r
	copyFields(o.request, r)
	o.request.Pattern = pattern
	return o
}

// newRoutedTwice is for a request that an outer router has been through. Its
// values live in a slice and a map that a shallow copy shares, and SetPathValue
// would write into them.
func newRoutedTwice(ctx context.Context, r *http.Request, pattern string) *Routed {
	o := &Routed{request: r.Clone(ctx), server: r}
	o.request.Pattern = pattern
	return o
}

// SetPathValue gives the request the route parameter name.
func (o *Routed) SetPathValue(name, value string) {
	o.request.SetPathValue(name, value)
	if o.request == &o.loan {
		o.names = append(o.names, name)
	}
}

// release takes back a request that nobody needs any more. One that was not
// answered by a hit is the handler's, map and all.
func (o *Routed) release() {
	if o.request != &o.loan {
		return
	}
	for _, name := range o.names {
		o.blank.SetPathValue(name, "")
	}
	o.loan = http.Request{}
	o.names, o.request, o.server, o.key, o.err, o.asked = o.names[:0], nil, nil, "", nil, false
	routeds.Put(o)
}

// Hit answers r if this process' memory has the answer and nothing stands against
// it. If not, [Guard.ServeRouted] is to be called; if so, r is used up.
func (g *Guard) Hit(w http.ResponseWriter, r *Routed) bool {
	if g.Key == nil || !g.mayHit(r.request) {
		return false
	}
	r.asked = true
	if r.key, r.err = g.keyOf(r.request); r.err != nil || !g.hitKey(w, r.request, r.key) {
		return false
	}
	r.release()
	return true
}

// ServeRouted is [Guard.Serve] for a request that [Guard.Hit] has not answered.
func (g *Guard) ServeRouted(w http.ResponseWriter, r *Routed, next func(http.ResponseWriter, *http.Request) error) error {
	next = handingBack(r.server, next)
	switch {
	case !r.asked:
		return g.Serve(w, r.request, next)
	case r.err != nil:
		return g.refuseKey(r.request, r.err)
	}
	return g.miss(w, r.request, r.key, next)
}

// copyFields copies what every package can see of a request.
func copyFields(dst, src *http.Request) {
	dst.Method, dst.URL, dst.Host, dst.RequestURI, dst.Pattern = src.Method, src.URL, src.Host, src.RequestURI, src.Pattern
	dst.Proto, dst.ProtoMajor, dst.ProtoMinor, dst.Close = src.Proto, src.ProtoMajor, src.ProtoMinor, src.Close
	dst.Header, dst.Trailer, dst.TransferEncoding = src.Header, src.Trailer, src.TransferEncoding
	dst.Body, dst.GetBody, dst.ContentLength = src.Body, src.GetBody, src.ContentLength
	dst.Form, dst.PostForm, dst.MultipartForm = src.Form, src.PostForm, src.MultipartForm
	dst.RemoteAddr, dst.TLS, dst.Response = src.RemoteAddr, src.TLS, src.Response
	//lint:ignore SA1019 deprecated, but a field
	dst.Cancel = src.Cancel
}

// hasValues reports path values that somebody has set without a Pattern. Nothing
// but the field itself tells; where there is none of the name, it may be.
func hasValues(r *http.Request) bool {
	if valuesField < 0 {
		return true
	}
	return reflect.ValueOf(r).Elem().Field(valuesField).Len() > 0
}

// valuesField is the index of the field, or -1.
var valuesField = func() int {
	field, ok := reflect.TypeFor[http.Request]().FieldByName("otherValues")
	if !ok || field.Type.Kind() != reflect.Map {
		return -1
	}
	return field.Index[0]
}()
