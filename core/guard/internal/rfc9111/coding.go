package rfc9111

import (
	"net/http"
	"strings"
)

// RecodedOutside reports that middleware outside sends stored content to this client in
// another coding, or may: it says so in outer, its Content-Encoding or Vary, before what
// is stored comes in between. A range of the one is none of the other (RFC 9110 §14.2).
func RecodedOutside(outer, request, stored http.Header) bool {
	if len(stored["Content-Encoding"]) > 0 {
		return false
	}
	return len(outer["Content-Encoding"]) > 0 ||
		takesCoding(request) && codingsVaried(outer) > codingsVaried(stored)
}

// takesCoding reports a client that names any coding.
func takesCoding(request http.Header) bool {
	for element := range listed(request["Accept-Encoding"]) {
		coding, _, _ := strings.Cut(element, ";")
		if !strings.EqualFold(trimOWS(coding), "identity") {
			return true
		}
	}
	return false
}

// codingsVaried counts who says that content varies by Accept-Encoding.
func codingsVaried(h http.Header) (n int) {
	for field := range listed(h["Vary"]) {
		if strings.EqualFold(field, "Accept-Encoding") {
			n++
		}
	}
	return n
}
