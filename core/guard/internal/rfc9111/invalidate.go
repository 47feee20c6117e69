package rfc9111

import (
	"net/http"
	"net/url"
)

// Invalidates returns the URIs whose stored responses a response makes invalid
// (RFC 9111 §4.4): after a non-error response to an unsafe method the target,
// and what Location and Content-Location name on the same origin. target is
// absolute. The URIs have no fragment and each appears once.
func Invalidates(method string, target *url.URL, status int, response http.Header) []*url.URL {
	if safe(method) || status < 200 || status > 399 {
		return nil
	}
	uris := []*url.URL{resource(target, target)}
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, value := range response[name] {
			uri, err := target.Parse(trimOWS(value))
			if err != nil || !sameOrigin(uri, target) {
				continue // anybody could empty another site's cache otherwise
			}
			uris = appendUnlessThere(uris, resource(uri, target))
		}
	}
	return uris
}

// safe lists the safe methods of RFC 9110 §9.2.1. A method unknown here may
// change anything.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// resource is uri without what names no resource, its origin written as the
// target's is.
func resource(uri, target *url.URL) *url.URL {
	r := *uri
	r.Scheme, r.Host = target.Scheme, target.Host
	r.Fragment, r.RawFragment, r.User = "", "", nil
	return &r
}

// sameOrigin compares scheme, host and port (RFC 9110 §4.3.1).
func sameOrigin(a, b *url.URL) bool {
	return asciiEqualFold(a.Scheme, b.Scheme) && asciiEqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch explicit := u.Port(); {
	case explicit != "":
		return explicit
	case asciiEqualFold(u.Scheme, "http"):
		return "80"
	case asciiEqualFold(u.Scheme, "https"):
		return "443"
	}
	return ""
}

func appendUnlessThere(uris []*url.URL, uri *url.URL) []*url.URL {
	for _, other := range uris {
		if other.EscapedPath() == uri.EscapedPath() && other.RawQuery == uri.RawQuery {
			return uris
		}
	}
	return append(uris, uri)
}
