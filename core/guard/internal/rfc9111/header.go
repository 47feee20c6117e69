package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Canonical returns h with all field names in net/http's canonical form: h
// itself where they are, else a copy. A handler may write its header map
// directly, and "set-cookie" must not slip past a check for Set-Cookie; nor must
// "Cache-Control " with the space before its colon that net/http's client leaves
// in a name, and that a proxy is to take away (RFC 9112 §5.1).
func Canonical(h http.Header) http.Header {
	if isCanonical(h) {
		return h
	}
	canonical := make(http.Header, len(h))
	for name, values := range h {
		name = canonicalName(name)
		canonical[name] = append(slices.Clip(canonical[name]), values...)
	}
	return canonical
}

func canonicalName(name string) string {
	return http.CanonicalHeaderKey(strings.TrimRight(name, " \t"))
}

func isCanonical(h http.Header) bool {
	for name := range h {
		if canonicalName(name) != name {
			return false
		}
	}
	return true
}

// StoredHeader copies the fields of a response that may be stored, values and
// all: neither those of the connection (RFC 9111 §3.1) nor those its directives
// withhold. Fields of no-cache="…" are left out as well, because without
// validation they could not be served (§5.2.2.4) and a validation brings them
// anew. A missing Date is set to the time of receipt (RFC 9110 §6.6.1).
func StoredHeader(h http.Header, s *Stored) http.Header {
	stored := make(http.Header, len(h)+1)
	connection := connectionOptions(h)
	for name, values := range h {
		if !perConnection(name) && !slices.Contains(connection, name) && !s.withholds(name) {
			stored[name] = slices.Clone(values)
		}
	}
	if _, ok := ParseDate(stored.Get("Date"), s.ReceivedAt); !ok {
		stored["Date"] = []string{string(AppendDate(nil, s.ReceivedAt))}
	}
	return stored
}

// withholds reports the fields private="…" and no-cache="…" list.
func (d *Directives) withholds(name string) bool {
	return slices.Contains(d.PrivateFields, name) || slices.Contains(d.NoCacheFields, name)
}

// connectionOptions are the fields Connection lists, save those no sender may
// list because they are meant for all recipients (RFC 9110 §7.6.1).
func connectionOptions(h http.Header) (names []string) {
	for option := range listed(h["Connection"]) {
		if name := http.CanonicalHeaderKey(option); !indispensable(name) {
			names = append(names, name)
		}
	}
	return names
}

// WithdrawsField reports whether the Connection of a request lists a field that
// it has and that is not about the connection anyhow. A proxy drops such a field,
// so that its origin may answer as if it were absent while Vary says it decides
// (RFC 9110 §7.6.1).
func WithdrawsField(h http.Header) bool {
	for _, line := range h["Connection"] {
		if asciiEqualFold(line, "keep-alive") || asciiEqualFold(line, "close") {
			continue
		}
		for option := range listed([]string{line}) {
			if name := http.CanonicalHeaderKey(option); len(h[name]) > 0 && !perConnection(name) {
				return true
			}
		}
	}
	return false
}

// perConnection names the fields that concern one connection or one proxy.
// http.TrailerPrefix marks net/http's trailers among the fields.
func perConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, http.TrailerPrefix)
}
