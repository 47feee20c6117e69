package guard

import (
	"errors"
	"net/http"
	"strconv"
)

// ErrEmptyKey is what a request gets whose key is the empty string.
var ErrEmptyKey = errors.New("guard: the key of the request is empty")

// namesOf asks for the key of r and puts it within what Scope says.
func (g *Guard) namesOf(r *http.Request) (names, error) {
	key, err := g.Key(r)
	if err != nil {
		return names{}, err
	}
	if key == "" {
		return names{}, ErrEmptyKey
	}
	return names{key: key, lock: g.lockName(r, key)}, nil
}

func (g *Guard) lockName(r *http.Request, key string) string {
	if g.Scope == ScopeNamespace && g.Namespace == "" {
		return key
	}
	var stack [192]byte
	name := appendPart(stack[:0], g.Namespace)
	if g.Scope == ScopeRoute {
		name = appendPart(name, methodClass(r.Method))
		var route [96]byte
		name = appendPart(name, string(appendRoute(route[:0], r.Pattern)))
	}
	return string(append(name, key...))
}

// appendPart writes a part so that no part can pass for its neighbour: its
// length goes first, as in a netstring.
func appendPart(dst []byte, part string) []byte {
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
