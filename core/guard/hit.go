package guard

import (
	"net/http"
	"sync"
	"unsafe"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// scratch is what a hit needs for the moment.
type scratch struct {
	route route
	name  []byte // of the lock and, behind it, of the response
}

var scratches = sync.Pool{New: func() any { return &scratch{name: make([]byte, 0, 512)} }}

// hit answers from this process' memory if that takes nothing more than
// writing.
func (g *Guard) hit(w http.ResponseWriter, r *http.Request, key string) bool {
	return g.mayHit(r) && g.hitKey(w, r, key)
}

// mayHit knows the requests that are not to be answered by a hit: those that
// have wishes about their answer, and those that make a refresh.
func (g *Guard) mayHit(r *http.Request) bool {
	return g.cache != nil && g.Fresh > 0 && g.isPlain(r) && !IsRefresh(r.Context())
}

func (g *Guard) hitKey(w http.ResponseWriter, r *http.Request, key string) bool {
	s := scratches.Get().(*scratch)
	res, ok := g.cache.Hit(g.valueName(s, r, key))
	if !ok || !res.Value.serves(r) {
		scratches.Put(s)
		return false
	}
	scratches.Put(s)
	g.setHeader(w.Header(), &res, "")
	g.sendShared(w, r, res.Value)
	return true
}

// isPlain reports a request that has no wishes about its answer.
func (g *Guard) isPlain(r *http.Request) bool {
	return g.bypass(r) == rfc9111.OK && (!g.policy.ObeyClient || g.wishes(r) == rfc9111.RequestDirectives{})
}

// valueName is what appendValueName makes, without a string of its own: it is
// good until s is used again.
func (g *Guard) valueName(s *scratch, r *http.Request, key string) string {
	s.name = append(append(s.name[:0], s.route.scope(g, r)...), key...)
	end := len(s.name)
	s.name = g.appendTarget(appendField(s.name, s.name), r)
	name := s.name[end:]
	return unsafe.String(unsafe.SliceData(name), len(name))
}

// route is where the last hit was. The next one is often there too.
type route struct {
	guard   *Guard
	pattern string
	prefix  []byte // what the names of its locks begin with
}

// scope is what [Guard.appendScope] appends for r, which GET or HEAD asks for.
func (o *route) scope(g *Guard, r *http.Request) []byte {
	if o.guard != g || o.pattern != r.Pattern {
		o.guard, o.pattern = g, r.Pattern
		o.prefix = g.appendScope(o.prefix[:0], r)
	}
	return o.prefix
}
