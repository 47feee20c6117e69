package guard

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// names of one request.
type names struct {
	key  string // as Guard.Key gave it
	lock string // within what Scope says
}

// appendValueName names the response to r in the store: by what its locks are
// named by, and by its target. Whatever a handler may answer differently to has
// to be in here, or one client decides what others get; what is left out is left
// out by name, with IgnoreHost and IgnoreQuery.
func (g *Guard) appendValueName(dst []byte, key string, r *http.Request) []byte {
	return g.appendTarget(appendField(g.appendPlace(dst, r), key), r)
}

// appendPlace appends what all names of a route and an origin begin with. The
// scheme is part of it: a handler may send clients of http to https, and only them.
func (g *Guard) appendPlace(dst []byte, r *http.Request) []byte {
	var stack [192]byte
	dst = appendField(dst, g.appendScope(stack[:0], r))
	if !g.IgnoreHost {
		dst = appendLowered(dst, r.Host)
	}
	if r.TLS != nil {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (g *Guard) appendTarget(dst []byte, r *http.Request) []byte {
	path := r.URL.EscapedPath()
	dst = appendField(dst, path)
	dst = appendField(dst, g.query(r.URL.RawQuery))
	for _, name := range g.IdentityHeaders {
		dst = binary.AppendUvarint(dst, uint64(len(r.Header[name])))
		for _, value := range r.Header[name] {
			dst = appendField(dst, value)
		}
	}
	if !isTarget(r.RequestURI, path, r.URL.RawQuery) {
		// A middleware took a prefix off, or rewrote the path for reasons of its own.
		// Last, and never empty: it can be told from its absence, and from a variant.
		path, query, _ := strings.Cut(r.RequestURI, "?")
		dst = appendField(dst, path+"?"+g.query(query))
	}
	return dst
}

// appendField writes a field behind its length, so that none can pass for two.
func appendField[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendLowered is for host names, which know no case (RFC 9110 §4.2.3).
func appendLowered(dst []byte, s string) []byte {
	dst = appendField(dst, s)
	lowered := dst[len(dst)-len(s):]
	for i, c := range lowered {
		if 'A' <= c && c <= 'Z' {
			lowered[i] = c + 'a' - 'A'
		}
	}
	return dst
}

// isTarget reports whether uri is the origin form of path and query.
func isTarget(uri, path, query string) bool {
	rest, ok := strings.CutPrefix(uri, path)
	if !ok {
		return uri == "" // not a request of a server
	}
	if query == "" {
		return rest == "" || rest == "?"
	}
	return len(rest) > 0 && rest[0] == '?' && rest[1:] == query
}

// targetOf is what the client asked for, whatever prefix was taken off on the
// way: Location and Content-Location name resources as clients do.
func targetOf(r *http.Request) *url.URL {
	if !isTarget(r.RequestURI, r.URL.EscapedPath(), r.URL.RawQuery) {
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			return u
		}
	}
	return r.URL
}

// query is the query without the parameters of IgnoreQuery. It is otherwise
// taken as it came: order and repetition may mean something to the handler.
func (g *Guard) query(raw string) string {
	if raw == "" || len(g.IgnoreQuery) == 0 {
		return raw
	}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err != nil || !slices.Contains(g.IgnoreQuery, decoded) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
