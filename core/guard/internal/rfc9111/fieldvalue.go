package rfc9111

import (
	"iter"
	"strings"
)

// elements walks the comma-separated elements of one field line, leaving
// commas inside quoted strings alone and skipping empty elements
// (RFC 9110 §5.6.1.2).
//
// A quoted string that is never closed ends at the next comma instead of
// swallowing the rest of the line: a no-store behind it must still be seen.
// From there on quotes mean nothing and broken is set.
type elements struct {
	rest   string
	broken bool
}

func (e *elements) next() (string, bool) {
	for e.rest != "" {
		end := e.end()
		element := trimOWS(e.rest[:end])
		e.rest = e.rest[min(end+1, len(e.rest)):]
		if element != "" {
			return element, true
		}
	}
	return "", false
}

func (e *elements) end() int {
	if !e.broken {
		if end, closed := quotedEnd(e.rest); closed {
			return end
		}
		e.broken = true
	}
	if i := strings.IndexByte(e.rest, ','); i >= 0 {
		return i
	}
	return len(e.rest)
}

// quotedEnd finds the first comma outside quoted strings, or the end of s.
func quotedEnd(s string) (end int, closed bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == ',':
			return i, true
		}
	}
	return len(s), !quoted
}

// listed yields the elements of a list-based field over all its lines.
func listed(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			e := elements{rest: line}
			for element, ok := e.next(); ok; element, ok = e.next() {
				if !yield(element) {
					return
				}
			}
		}
	}
}

func trimOWS(s string) string { return strings.Trim(s, " \t") }

// tokenLen is the length of the token s starts with (RFC 9110 §5.6.2).
func tokenLen(s string) int {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return i
		}
	}
	return len(s)
}

func isToken(s string) bool { return s != "" && tokenLen(s) == len(s) }

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// unquote reads a whole quoted string (RFC 9110 §5.6.4).
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	inner := s[1 : len(s)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner, strings.IndexByte(inner, '"') < 0
	}
	return unescape(inner)
}

func unescape(inner string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return "", false
		case '\\':
			if i++; i == len(inner) {
				return "", false
			}
		}
		b.WriteByte(inner[i])
	}
	return b.String(), true
}
