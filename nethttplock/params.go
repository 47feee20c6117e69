package nethttplock

import (
	"net/http"
	"net/url"
	"strings"
)

// canonical returns r with its route parameters percent-decoded once, as
// ServeMux gives them. A router that matches on the escaped path where there is
// one, as chi does, leaves them as they came, so that /orders/42 would be locked
// under another key than /orders/4%32.
//
// Such a router is known by its values: put back into the pattern they give the
// escaped path. Decoded ones give it only where there was nothing to decode.
func canonical(r *http.Request) *http.Request {
	if r.URL.RawPath == "" || r.Pattern == "" {
		return r
	}
	path, names := fill(r)
	if len(names) == 0 || !strings.HasSuffix(r.URL.RawPath, path) {
		return r
	}
	decoded := r.Clone(r.Context())
	for _, name := range names {
		if value, err := url.PathUnescape(r.PathValue(name)); err == nil {
			decoded.SetPathValue(name, value)
		}
	}
	return decoded
}

// fill puts the values of r's parameters into its pattern.
func fill(r *http.Request) (path string, names []string) {
	var b strings.Builder
	rest := r.Pattern[max(strings.IndexByte(r.Pattern, '/'), 0):]
	for rest != "" {
		name, length := wildcard(rest)
		if length == 0 {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if name != "$" {
			names = append(names, name)
			b.WriteString(r.PathValue(name))
		}
		rest = rest[length:]
	}
	return b.String(), names
}

// wildcard reads the parameter a pattern starts with: {id}, {path...} and {$} of
// ServeMux, {id:[0-9]+} and * of chi.
func wildcard(pattern string) (name string, length int) {
	switch pattern[0] {
	case '*':
		return "*", 1
	case '{':
		depth := 0
		for i := range len(pattern) {
			switch pattern[i] {
			case '{':
				depth++
			case '}':
				depth--
			}
			if depth == 0 {
				name, _, _ = strings.Cut(pattern[1:i], ":")
				return strings.TrimSuffix(name, "..."), i + 1
			}
		}
	}
	return "", 0
}
