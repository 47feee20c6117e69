package guard

import (
	"net/http"

	"github.com/market-intel-brain/dlm/core/cache"
)

// place is where the last hit was. The next one is often there too.
type place struct {
	guard         *Guard
	pattern, host []byte
	tls           bool
	name          []byte
}

// prefix is what [Guard.appendPlace] appends for r, which GET or HEAD asks for.
func (p *place) prefix(g *Guard, r *http.Request) []byte {
	if p.guard != g || string(p.pattern) != r.Pattern || string(p.host) != r.Host || p.tls != (r.TLS != nil) {
		p.guard, p.tls = g, r.TLS != nil
		p.pattern, p.host = append(p.pattern[:0], r.Pattern...), append(p.host[:0], r.Host...)
		p.name = g.appendPlace(p.name[:0], r)
	}
	return p.name
}

// recall is where the last hits of a few keys were. A request that is the same in
// all that names a response finds it there without its name being made.
type recall [16]recalled

// of is where a hit of key, which is not empty, may be remembered. Keys differ at
// the end most of all, and to hash them would cost as much as is saved.
func (c *recall) of(key string) *recalled {
	return &c[(int(key[len(key)-1])+len(key))%len(c)]
}

// recalled is one hit. It has copies of all text: what a request is made of may
// be used again for the next one, by servers that are not net/http's.
type recalled struct {
	guard                         *Guard
	tls                           bool
	key, pattern, host            []byte
	path, rawPath, query, request []byte
	spot                          cache.Spot
}

// isOf reports whether r would be given the same name by [Guard.valueName]; its
// method is one that hits.
func (c *recalled) isOf(g *Guard, r *http.Request, key string) bool {
	return c.guard == g && c.tls == (r.TLS != nil) &&
		string(c.key) == key && string(c.pattern) == r.Pattern && string(c.host) == r.Host &&
		string(c.path) == r.URL.Path && string(c.rawPath) == r.URL.RawPath && string(c.query) == r.URL.RawQuery &&
		string(c.request) == r.RequestURI
}

func (c *recalled) isNowOf(g *Guard, r *http.Request, key string) {
	c.guard, c.tls = g, r.TLS != nil
	c.key, c.pattern, c.host = append(c.key[:0], key...), append(c.pattern[:0], r.Pattern...), append(c.host[:0], r.Host...)
	c.path, c.rawPath = append(c.path[:0], r.URL.Path...), append(c.rawPath[:0], r.URL.RawPath...)
	c.query, c.request = append(c.query[:0], r.URL.RawQuery...), append(c.request[:0], r.RequestURI...)
}
