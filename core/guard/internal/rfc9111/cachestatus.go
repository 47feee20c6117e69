package rfc9111

import (
	"net/http"
	"strconv"
	"time"
)

// Fwd says why a request went forward (RFC 9211 §2.2).
type Fwd string

// The registered reasons that this cache has.
const (
	FwdBypass   Fwd = "bypass"    // the cache takes no part
	FwdMethod   Fwd = "method"    // the method's semantics require it
	FwdURIMiss  Fwd = "uri-miss"  // nothing stored for the URI
	FwdVaryMiss Fwd = "vary-miss" // nothing stored for this variant
	FwdRequest  Fwd = "request"   // the request's own directives
	FwdStale    Fwd = "stale"     // what is stored is stale
)

// Collapsed says what came of waiting for another request (RFC 9211 §2.6).
type Collapsed uint8

const (
	// NotCollapsed: there was no waiting.
	NotCollapsed Collapsed = iota
	// CollapsedReused: the other request's response was used.
	CollapsedReused
	// CollapsedInVain: it could not be shared, and a new request was made.
	CollapsedInVain
)

// CacheStatus is what one cache says about how it handled a request (RFC 9211).
type CacheStatus struct {
	Cache     string        // its name: identifies it among the caches on the way
	Fwd       Fwd           // empty: a hit
	TTL       time.Duration // remaining freshness; negative once stale
	HasTTL    bool
	Stored    bool
	Collapsed Collapsed
	Detail    string
}

// AddTo appends the member to the Cache-Status field, behind those of the
// caches nearer to the origin (RFC 9211 §2).
func (c *CacheStatus) AddTo(h http.Header) {
	b := make([]byte, 0, 96)
	for _, line := range h["Cache-Status"] {
		if line = trimOWS(line); line != "" {
			b = append(append(b, line...), ", "...)
		}
	}
	h["Cache-Status"] = []string{string(c.Append(b))}
}

// Append appends the member in its serialized form. What speaks of forwarding
// is left out of a hit, as RFC 9211 §2 demands.
func (c *CacheStatus) Append(dst []byte) []byte {
	dst = appendName(dst, c.Cache)
	if c.Fwd == "" {
		dst = append(dst, ";hit"...)
	} else {
		dst = c.appendForward(dst)
	}
	if c.HasTTL {
		dst = strconv.AppendInt(append(dst, ";ttl="...), floorSeconds(c.TTL), 10)
	}
	if c.Detail != "" {
		dst = appendName(append(dst, ";detail="...), c.Detail)
	}
	return dst
}

func (c *CacheStatus) appendForward(dst []byte) []byte {
	dst = append(append(dst, ";fwd="...), c.Fwd...)
	if c.Stored {
		dst = append(dst, ";stored"...)
	}
	switch c.Collapsed {
	case CollapsedReused:
		dst = append(dst, ";collapsed"...)
	case CollapsedInVain:
		dst = append(dst, ";collapsed=?0"...)
	}
	return dst
}

// floorSeconds rounds down: half a second past its lifetime is -1, not 0.
func floorSeconds(d time.Duration) int64 {
	seconds := int64(d / time.Second)
	if d%time.Second < 0 {
		seconds--
	}
	return seconds
}

// appendName writes a token where s is one, else a string.
func appendName(dst []byte, s string) []byte {
	if isSFToken(s) {
		return append(dst, s...)
	}
	return appendString(dst, s)
}

// isSFToken is narrower than a token of HTTP at its start and wider after it
// (RFC 9651 §3.3.4).
func isSFToken(s string) bool {
	if s == "" || s[0] != '*' && (lower(s[0]) < 'a' || lower(s[0]) > 'z') {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] != ':' && s[i] != '/' && !isTokenByte(s[i]) {
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// appendString writes a string of structured fields. It has room for printable
// ASCII alone; other bytes, and the percent sign with them, are written as in a
// URI, so that different strings stay different.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~' || c == '%':
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
