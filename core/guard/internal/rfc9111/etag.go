package rfc9111

import "strings"

// ETag is an entity tag (RFC 9110 §8.8.3). The zero value is none.
type ETag struct {
	Opaque string // with its quotes
	Weak   bool
}

// ParseETag reads one entity tag.
func ParseETag(s string) (ETag, bool) {
	tag, rest, ok := cutETag(trimOWS(s))
	if !ok || rest != "" {
		return ETag{}, false
	}
	return tag, true
}

// cutETag reads the entity tag s starts with. There are no escapes in one:
// a comma or a backslash is a byte like any other.
func cutETag(s string) (tag ETag, rest string, ok bool) {
	opaque, weak := strings.CutPrefix(s, "W/")
	if len(opaque) < 2 || opaque[0] != '"' {
		return ETag{}, s, false
	}
	for i := 1; i < len(opaque); i++ {
		switch c := opaque[i]; {
		case c == '"':
			return ETag{Opaque: opaque[:i+1], Weak: weak}, opaque[i+1:], true
		case c <= ' ' || c == 0x7f:
			return ETag{}, s, false
		}
	}
	return ETag{}, s, false
}

// String is the tag as a field value; empty for none.
func (t ETag) String() string {
	if t.Weak {
		return "W/" + t.Opaque
	}
	return t.Opaque
}

// StrongEqual is the strong comparison of RFC 9110 §8.8.3.2.
func (t ETag) StrongEqual(other ETag) bool {
	return !t.Weak && !other.Weak && t.WeakEqual(other)
}

// WeakEqual is the weak comparison of RFC 9110 §8.8.3.2.
func (t ETag) WeakEqual(other ETag) bool {
	return t.Opaque != "" && t.Opaque == other.Opaque
}

// anyETag reports whether a list of entity tags holds one that equals, or is
// the "*" that stands for any. It stops at the first thing that is no tag.
func anyETag(lines []string, equals func(ETag) bool) bool {
	for _, line := range lines {
		if trimOWS(line) == "*" {
			return true
		}
		for line = skipSeparators(line); line != ""; line = skipSeparators(line) {
			tag, rest, ok := cutETag(line)
			if !ok {
				break
			}
			if equals(tag) {
				return true
			}
			line = rest
		}
	}
	return false
}

func skipSeparators(s string) string { return strings.TrimLeft(s, " \t,") }
