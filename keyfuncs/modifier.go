package keyfuncs

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// modifiers say how a slot treats its value.
type modifiers struct {
	optional  bool
	fallback  string // for a value the client left out; empty: none
	transform []func(string) string
}

var transforms = map[string]func(string) string{
	"lower": lowerASCII,
	"hash":  hashValue,
}

// parseModifiers compiles what follows the first bar of a placeholder; pos is
// its offset in the template text.
func parseModifiers(text, list string, pos int) (modifiers, error) {
	var m modifiers
	seen := make(map[string]bool)
	for expr := range strings.SplitSeq(list, "|") {
		name, value, assigned := strings.Cut(expr, "=")
		if seen[name] {
			return m, syntaxError(text, pos, "modifier %q stands twice", name)
		}
		seen[name] = true
		transform := transforms[name]
		switch {
		case name == "default" && value == "":
			return m, syntaxError(text, pos, "default needs a value: default=…; a value that may be left out is optional")
		case name == "default":
			m.fallback = value
		case assigned && (name == "optional" || transform != nil):
			return m, syntaxError(text, pos+len(name), "modifier %s takes no value", name)
		case name == "optional":
			m.optional = true
		case transform != nil:
			m.transform = append(m.transform, transform)
		default:
			return m, syntaxError(text, pos, "unknown modifier %q; the modifiers are default=…, hash, lower, optional", name)
		}
		if m.optional && m.fallback != "" {
			return m, syntaxError(text, pos, "default and optional exclude each other: both say what a value left out stands for")
		}
		pos += len(expr) + 1
	}
	return m, nil
}

// lowerASCII lowers A to Z and nothing else. Unicode's mapping is not used
// because it joins what is not the same: the Kelvin sign would become a k, and
// every broken byte the same replacement character.
func lowerASCII(s string) string {
	if strings.IndexFunc(s, isUpperASCII) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if isUpperASCII(rune(c)) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func isUpperASCII(r rune) bool { return 'A' <= r && r <= 'Z' }

// hashValue is the SHA-256 of s in lower-case hexadecimal, as sha256sum
// prints it.
func hashValue(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
