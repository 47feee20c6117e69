package keyfuncs

import "strings"

// charset is a set of ASCII characters.
type charset [2]uint64

func newCharset(chars string) charset {
	var s charset
	for i := range len(chars) {
		s[chars[i]>>6] |= 1 << (chars[i] & 63)
	}
	return s
}

func (s charset) has(c byte) bool { return c < 0x80 && s[c>>6]>>(c&63)&1 == 1 }

// without returns s less the ASCII characters of chars.
func (s charset) without(chars string) charset {
	for i := range len(chars) {
		if c := chars[i]; c < 0x80 {
			s[c>>6] &^= 1 << (c & 63)
		}
	}
	return s
}

const (
	letters     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits      = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// Braces are plain in neither set, so that no key names a Redis Cluster hash
// tag and moves itself to another slot.
var (
	// plainValue holds what a request's value shows as it is: enough for
	// numbers, UUIDs, slugs, e-mail addresses, hosts, paths, times and base64.
	plainValue = newCharset(letters + digits + "-_.~@:/+,=")

	// plainText holds what text written by the programmer shows as it is.
	plainText = newCharset(letters + digits + punctuation).without("%{}")

	alphanumeric = newCharset(letters + digits)
)

// emptyValue stands for an optional value that is present and empty. No
// escaped byte looks like it, and it has the length of one.
const emptyValue = "%--"

const upperHex = "0123456789ABCDEF"

// appendEscaped appends text to dst with every byte outside plain written as
// %XX, upper case, as in RFC 3986, section 2.1. As '%' is in no plain set, the
// result reads back unambiguously, and distinct texts give distinct results
// whatever bytes they hold.
func appendEscaped(dst []byte, text string, plain charset) []byte {
	from := 0
	for i := range len(text) {
		c := text[i]
		if plain.has(c) {
			continue
		}
		dst = append(dst, text[from:i]...)
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		from = i + 1
	}
	return append(dst, text[from:]...)
}

// escape is appendEscaped for a text on its own. It allocates only when there
// is something to escape.
func escape(text string, plain charset) string {
	for i := range len(text) {
		if !plain.has(text[i]) {
			return string(appendEscaped(make([]byte, 0, len(text)+16), text, plain))
		}
	}
	return text
}

// punctuationOf returns the characters of text that are neither letters nor
// digits.
func punctuationOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && !alphanumeric.has(byte(r)) {
			return r
		}
		return -1
	}, text)
}
