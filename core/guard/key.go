package guard

import (
	"errors"
	"net/http"
	"strconv"
)

// ErrEmptyKey is what a request gets whose key is the empty string.
var ErrEmptyKey = errors.New("guard: the key of the request is empty")

// keyOf asks for the key of r.
func (g *Guard) keyOf(r *http.Request) (string, error) {
	key, err := g.Key(r)
	if err == nil && key == "" {
		err = ErrEmptyKey
	}
	return key, err
}

// lockName puts a key within what Scope says.
func (g *Guard) lockName(r *http.Request, key string) string {
	var stack [192]byte
	scope := g.appendScope(stack[:0], r)
	if len(scope) == 0 {
		return key
	}
	return string(append(scope, key...))
}

// appendScope appends what the names of r's locks begin with.
func (g *Guard) appendScope(dst []byte, r *http.Request) []byte {
	if g.Scope == ScopeNamespace && g.Namespace == "" {
		return dst
	}
	dst = appendPart(dst, g.Namespace)
	if g.Scope == ScopeRoute {
		dst = appendPart(dst, methodClass(r.Method))
		var route [96]byte
		dst = appendPart(dst, appendRoute(route[:0], r.Pattern))
	}
	return dst
}

// appendPart writes a part so that no part can pass for its neighbour: its
// length goes first, as in a netstring.
func appendPart[T string | []byte](dst []byte, part T) []byte {
	dst = strconv.AppendInt(dst, int64(len(part)), 10)
	dst = append(dst, ':')
	dst = append(dst, part...)
	return append(dst, '|')
}

// methodClass is the method, with HEAD counted as GET: HEAD asks for what GET
// would answer, less the content (RFC 9110 §9.3.2).
func methodClass(method string) string {
	switch method {
	case "", http.MethodHead:
		return http.MethodGet
	}
	return method
}
