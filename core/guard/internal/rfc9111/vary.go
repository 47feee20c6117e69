package rfc9111

import (
	"encoding/binary"
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
// value in both, or is absent from both; every name and value is preceded by
// its length, so that no value can pass for two.
//
// codings, if not empty, are the content codings the handler knows, and
// Accept-Encoding counts as AcceptEncoding puts it. The handler must then be
// given that value too, or it may choose a coding the variant does not name.
func (v *Vary) AppendVariant(dst []byte, r *http.Request, codings []string) []byte {
	for _, name := range v.Fields {
		dst = appendSized(dst, name)
		lines := r.Header[name]
		if name == "Host" && r.Host != "" { // net/http moves it out of the header
			lines = []string{strings.ToLower(r.Host)}
		}
		dst = appendSelecting(dst, name, lines, codings)
	}
	return dst
}

func appendSelecting(dst []byte, name string, lines, codings []string) []byte {
	switch {
	case name == "Accept-Encoding" && len(codings) > 0:
		return appendSized(append(dst, '='), AcceptEncoding(lines, codings))
	case len(lines) == 0:
		return append(dst, '-')
	}
	return appendSized(append(dst, '='), normalize(name, lines))
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// normalize brings a field value to one form per meaning, as far as RFC 9111
// §4.1 allows: lines are combined and surrounding whitespace dropped for every
// field; what stands between the elements, and letter case, only where the
// field is known to be a list of case-insensitive elements.
func normalize(name string, lines []string) string {
	if !caseInsensitiveList(name) {
		return combine(lines)
	}
	var b strings.Builder
	for element := range listed(lines) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ToLower(strings.Map(dropOWS, element)))
	}
	return b.String()
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

func dropOWS(r rune) rune {
	if r == ' ' || r == '\t' {
		return -1
	}
	return r
}

// combine joins field lines as RFC 9110 §5.3 does.
func combine(lines []string) string {
	if len(lines) == 1 {
		return trimOWS(lines[0])
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = trimOWS(line)
	}
	return strings.Join(trimmed, ", ")
}
