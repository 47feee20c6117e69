package keyfuncs

import (
	"net/http"
	"net/url"
	"strings"
)

// Method is the request method. GET and HEAD are different methods.
func Method() Func { return must(methodSource("", sourceConfig{})).single() }

func methodSource(string, sourceConfig) (source, error) {
	return source{kind: "method", read: func(r *http.Request) (string, bool, error) {
		if r.Method == "" { // as in http.Request
			return http.MethodGet, true, nil
		}
		return r.Method, true, nil
	}}, nil
}

// Host is the host the request names, in the one form that all spellings of it
// share: lower case, without a trailing dot and without the default port (80,
// or 443 on a TLS connection; RFC 9110, section 4.2.3). The client chooses it:
// it is a tenant only if the router or a proxy admits known hosts alone.
func Host() Func { return must(hostSource("", sourceConfig{})).single() }

func hostSource(string, sourceConfig) (source, error) {
	return source{kind: "host", read: func(r *http.Request) (string, bool, error) {
		return canonicalHost(r.Host, r.TLS != nil), r.Host != "", nil
	}}, nil
}

func canonicalHost(host string, tls bool) string {
	host = lowerASCII(host)
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], strings.TrimLeft(host[i+1:], "0")
	}
	name = strings.TrimSuffix(name, ".")
	if port == "" || port == "80" && !tls || port == "443" && tls {
		return name
	}
	return name + ":" + port
}

// Path is the path of the URL in the one form that all spellings of it share:
// needless escapes are undone, so /%78 is /x, while an escaped slash or percent
// sign stays escaped, so /a%2Fb is not /a/b. Slashes and dots are left as
// the client sent them. It is never empty.
func Path() Func { return must(pathSource("", sourceConfig{})).single() }

func pathSource(string, sourceConfig) (source, error) {
	return source{kind: "path", read: func(r *http.Request) (string, bool, error) {
		return canonicalPath(r.URL), true, nil
	}}, nil
}

var segmentEscaper = strings.NewReplacer("%", "%25", "/", "%2F")

func canonicalPath(u *url.URL) string {
	switch {
	case u.Path == "": // the same resource as / (RFC 9110, section 4.2.3)
		return "/"
	case u.RawPath == "" && !strings.Contains(u.Path, "%"):
		return u.Path
	}
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		// EscapedPath is validly escaped, so this does not fail.
		s, _ = url.PathUnescape(s)
		segments[i] = segmentEscaper.Replace(s)
	}
	return strings.Join(segments, "/")
}

// Route is the pattern of the matched route, from the request's Pattern field:
// the same for all values of its parameters. A request that no route has
// matched is a [MissingError], as is every request when the key is taken
// outside the router.
func Route() Func { return must(routeSource("", sourceConfig{})).single() }

func routeSource(string, sourceConfig) (source, error) {
	return source{kind: "route", read: func(r *http.Request) (string, bool, error) {
		return r.Pattern, r.Pattern != "", nil
	}}, nil
}
