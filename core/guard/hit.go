package guard

import (
	"net/http"
	"sync"
	"unsafe"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// scratch is what a hit needs for the moment.
type scratch struct {
	place  place
	recall recall
	name   []byte   // of the response
	slab   []string // for header values; none of it was ever given away
}

var scratches = sync.Pool{New: func() any { return &scratch{name: make([]byte, 0, 512)} }}

// maxScratch is how long the text of a request may be to leave anything in a scratch,
// which is not given back while there are hits. Longer ones are an attacker's.
const maxScratch = 4 << 10

// slabSize is how many values are allocated at once. What was given to a client
// is never taken back, because nobody knows who still holds it: a slab goes when
// the last of the responses that share it is gone.
const slabSize = 768

// cut returns room for n values that belongs to the caller from now on.
func (s *scratch) cut(n int) []string {
	if len(s.slab) < n {
		s.slab = make([]string, max(n, slabSize))
	}
	room := s.slab[:n:n]
	s.slab = s.slab[n:]
	return room
}

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
	res, ok := g.find(s, r, key)
	if !ok || !res.Value.serves(r) {
		scratches.Put(s)
		return false
	}
	g.outcomes.answered(res.State)
	f := g.hitFields(&res)
	f.addTo(w.Header(), s.cut(len(f.text)))
	scratches.Put(s)
	sendShared(w, r, res.Value)
	return true
}

// find returns what is stored for r: by its name, unless that was asked for just
// now.
func (g *Guard) find(s *scratch, r *http.Request, key string) (cache.Result[*response], bool) {
	if len(key)+len(r.Host)+len(r.RequestURI) > maxScratch {
		return g.cache.Hit(string(g.appendValueName(nil, key, r)))
	}
	if len(g.IdentityHeaders) > 0 {
		return g.cache.Hit(g.valueName(s, r, key))
	}
	last := s.recall.of(key)
	if last.isOf(g, r, key) {
		if res, ok := g.cache.HitAgain(&last.spot); ok {
			return res, true
		}
	} else {
		last.isNowOf(g, r, key)
	}
	return g.cache.HitAt(&last.spot, g.valueName(s, r, key))
}

// isPlain reports a request that has no wishes about its answer.
func (g *Guard) isPlain(r *http.Request) bool {
	return g.bypass(r) == rfc9111.OK && (!g.policy.ObeyClient || g.wishes(r) == rfc9111.RequestDirectives{})
}

// valueName is what appendValueName makes, without a string of its own: it is
// good until s is used again.
func (g *Guard) valueName(s *scratch, r *http.Request, key string) string {
	s.name = appendField(append(s.name[:0], s.place.prefix(g, r)...), key)
	s.name = g.appendTarget(s.name, r)
	return unsafe.String(unsafe.SliceData(s.name), len(s.name))
}
