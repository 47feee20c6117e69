package rfc9111

import (
	"net/http"
	"strings"
)

// AcceptEncoding reduces an Accept-Encoding field to the codings of known, in
// the order of known, that it accepts, and "identity;q=0" where that is
// refused: a handful of values instead of one per browser version. It is a
// valid field value with the same acceptable codings, without preferences among
// them. A request without the field gets "", which asks for no coding.
func AcceptEncoding(lines, known []string) string {
	return string(appendAcceptEncoding(nil, lines, known))
}

func appendAcceptEncoding(dst []byte, lines, known []string) []byte {
	if len(lines) == 0 {
		return dst
	}
	start := len(dst)
	for _, coding := range known {
		if accepts(lines, coding) {
			dst = appendMember(dst, start, coding)
		}
	}
	if !accepts(lines, "identity") {
		dst = appendMember(dst, start, "identity;q=0")
	}
	return dst
}

func appendMember(dst []byte, start int, member string) []byte {
	if len(dst) > start {
		dst = append(dst, ", "...)
	}
	return append(dst, member...)
}

// Decodable reports whether a client that sent request can read content with
// the Content-Encoding of response. A stored response that is not must not be
// served, whatever its Vary forgot to say. Without Accept-Encoding RFC 9110
// §12.5.3 lets a server assume anything; this assumes the plain form alone.
func Decodable(request, response http.Header) bool {
	lines := request["Accept-Encoding"]
	for coding := range listed(response["Content-Encoding"]) {
		if asciiEqualFold(coding, "identity") {
			continue
		}
		if len(lines) == 0 || !accepts(lines, coding) {
			return false
		}
	}
	return true
}

// accepts reads an Accept-Encoding field as RFC 9110 §12.5.3 has it: a coding
// named decides for itself, "*" for the ones not named, and identity is
// acceptable unless refused.
func accepts(lines []string, coding string) bool {
	wildcard := asciiEqualFold(coding, "identity")
	for element := range listed(lines) {
		name, params, _ := strings.Cut(element, ";")
		switch name = trimOWS(name); {
		case sameCoding(name, coding):
			return !refused(params)
		case name == "*":
			wildcard = !refused(params)
		}
	}
	return wildcard
}

// sameCoding knows the aliases of RFC 9110 §8.4.1.
func sameCoding(a, b string) bool {
	return asciiEqualFold(withoutX(a), withoutX(b))
}

func withoutX(coding string) string {
	if asciiEqualFold(coding, "x-gzip") || asciiEqualFold(coding, "x-compress") {
		return coding[2:]
	}
	return coding
}

// refused reports a weight of 0, in any of its spellings: "q=0", "Q=0.000".
// A weight that is none refuses too.
func refused(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, weight, _ := strings.Cut(trimOWS(param), "=")
		if asciiEqualFold(trimOWS(name), "q") {
			return strings.Trim(trimOWS(weight), "0.") == "" || !isWeight(trimOWS(weight))
		}
	}
	return false
}

// isWeight reports a qvalue (RFC 9110 §12.4.2).
func isWeight(s string) bool {
	if s == "" || len(s) > 5 || len(s) > 1 && s[1] != '.' || s[0] != '0' && s[0] != '1' {
		return false
	}
	fraction := s[min(2, len(s)):]
	return number(fraction) == 0 || s[0] == '0' && number(fraction) > 0
}
