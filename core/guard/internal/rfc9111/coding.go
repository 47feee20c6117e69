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
