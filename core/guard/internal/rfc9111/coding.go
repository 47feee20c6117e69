package rfc9111

import (
	"net/http"
	"strings"
)

// MayBeRecoded reports that middleware outside may send stored content to this client in
// another coding: it says so in outer, before what is stored comes in between, or the
// client takes any. Some middleware says nothing before it sees the status. A range of
// the one is none of the other (RFC 9110 §14.2), and no client has a right to one.
func MayBeRecoded(outer, request, stored http.Header) bool {
	return len(stored["Content-Encoding"]) == 0 && (len(outer["Content-Encoding"]) > 0 || takesCoding(request))
}

// takesCoding reports a client that takes a coding it names. Browsers that want a range
// refuse them all, as in "identity;q=1, *;q=0".
func takesCoding(request http.Header) bool {
	for element := range listed(request["Accept-Encoding"]) {
		coding, params, _ := strings.Cut(element, ";")
		if !strings.EqualFold(trimOWS(coding), "identity") && !refused(params) {
			return true
		}
	}
	return false
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
