package rfc9111

import (
	"net/http"
	"slices"
	"strings"
)

// Vary lists the request fields that select among the responses stored for one
// key (RFC 9111 §4.1).
type Vary struct {
	Any     bool     // "*": no request is known to select the response
	Invalid bool     // a member is no field name
	Fields  []string // canonical, sorted, without repetition
}

// ParseVary reads all lines of a Vary field. Order and repetition are lost, so
// that handlers which mean the same get the same variants.
func ParseVary(lines []string) (v Vary) {
	for name := range listed(lines) {
		switch {
		case name == "*":
			v.Any = true
		case !isToken(name):
			v.Invalid = true
		default:
			v.Fields = append(v.Fields, http.CanonicalHeaderKey(name))
		}
	}
	if len(v.Fields) > 1 {
		slices.Sort(v.Fields)
		v.Fields = slices.Compact(v.Fields)
	}
	return v
}

// On reports whether the field of this canonical name selects.
func (v *Vary) On(name string) bool { return slices.Contains(v.Fields, name) }

// AppendVariant appends the identity of the variant r selects. Two requests
// have the same one exactly when each selecting field has the same normalized
// value in both, or is absent from both.
func (v *Vary) AppendVariant(dst []byte, r *http.Request) []byte {
	for _, name := range v.Fields {
		dst = terminate(appendEscaped(dst, name))
		lines := r.Header[name]
		switch {
		case name == "Host" && r.Host != "": // net/http moves it out of the header
			dst = appendFolded(dst, r.Host)
		case len(lines) == 0:
			dst = append(dst, escape, absent)
		default:
			dst = appendNormalized(dst, name, lines)
		}
		dst = terminate(dst)
	}
	return dst
}

// A zero byte in a name or value is followed by zero, so that none of them can
// pass for the end of one, and for what comes after it.
const (
	escape = 0
	zero   = 0
	end    = 1
	absent = 2
)

func terminate(dst []byte) []byte { return append(dst, escape, end) }

func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if dst = append(dst, s[i]); s[i] == escape {
			dst = append(dst, zero)
		}
	}
	return dst
}

func appendFolded(dst []byte, s string) []byte {
	start := len(dst)
	dst = appendEscaped(dst, s)
	for i := start; i < len(dst); i++ {
		dst[i] = lower(dst[i])
	}
	return dst
}

// appendNormalized brings a field value to one form per meaning, as far as
// RFC 9111 §4.1 allows: lines are combined as RFC 9110 §5.3 does and whitespace
// around them dropped for every field; what stands between the elements, and
// letter case, only where the field is known to be a list of case-insensitive
// elements.
func appendNormalized(dst []byte, name string, lines []string) []byte {
	if caseInsensitiveList(name) {
		for element := range listed(lines) {
			for part := range strings.SplitSeq(element, ";") { // "en; q=0.5"
				dst = append(appendFolded(dst, trimOWS(part)), ';')
			}
			dst = append(dst, ',')
		}
		return dst
	}
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendEscaped(dst, trimOWS(line))
	}
	return dst
}

// caseInsensitiveList names the lists without quoted strings. Accept has
// parameters with case-sensitive values, so it is not among them.
func caseInsensitiveList(name string) bool {
	switch name {
	case "Accept-Encoding", "Accept-Language", "Accept-Charset":
		return true
	}
	return false
}
