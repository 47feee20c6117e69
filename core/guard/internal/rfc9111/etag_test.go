package rfc9111

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseETag(t *testing.T) {
	tests := []struct {
		name, value string
		want        ETag
	}{
		{"RFC 9110 §8.8.3 strong", `"x"`, ETag{Opaque: `"x"`}},
		{"RFC 9110 §8.8.3 weak", `W/"x"`, ETag{Opaque: `"x"`, Weak: true}},
		{"RFC 9110 §8.8.3 empty opaque", `""`, ETag{Opaque: `""`}},
		{"RFC 9110 §8.8.3 comma and backslash are plain bytes", `"a,\b"`, ETag{Opaque: `"a,\b"`}},
		{"RFC 9110 §8.8.3 obs-text", "\"\xff\"", ETag{Opaque: "\"\xff\""}},
		{"RFC 9110 §8.8.3 weak is case-sensitive", `w/"x"`, ETag{}},
		{"RFC 9110 §8.8.3 no quotes", `x`, ETag{}},
		{"RFC 9110 §8.8.3 half a tag", `"x`, ETag{}},
		{"RFC 9110 §8.8.3 one quote", `"`, ETag{}},
		{"RFC 9110 §8.8.3 space inside", `"a b"`, ETag{}},
		{"RFC 9110 §8.8.3 two tags", `"x", "y"`, ETag{}},
		{"RFC 9110 §8.8.3 nothing", ``, ETag{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseETag(tt.value)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.want != ETag{}, ok)
		})
	}
}

// The table of RFC 9110 §8.8.3.2, and the tag that is none.
func TestETagComparison(t *testing.T) {
	strong1, weak1, weak2, none := ETag{Opaque: `"1"`}, ETag{`"1"`, true}, ETag{`"2"`, true}, ETag{}
	tests := []struct {
		name         string
		a, b         ETag
		strong, weak bool
	}{
		{`RFC 9110 §8.8.3.2 W/"1" W/"1"`, weak1, weak1, false, true},
		{`RFC 9110 §8.8.3.2 W/"1" W/"2"`, weak1, weak2, false, false},
		{`RFC 9110 §8.8.3.2 W/"1" "1"`, weak1, strong1, false, true},
		{`RFC 9110 §8.8.3.2 "1" "1"`, strong1, strong1, true, true},
		{"none", none, none, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.strong, tt.a.StrongEqual(tt.b))
			assert.Equal(t, tt.strong, tt.b.StrongEqual(tt.a))
			assert.Equal(t, tt.weak, tt.a.WeakEqual(tt.b))
			assert.Equal(t, tt.weak, tt.b.WeakEqual(tt.a))
		})
	}
}

func FuzzETag(f *testing.F) {
	for _, seed := range []string{`"x"`, `W/"x"`, `"a", W/"b"`, `*`, `"a`, `,"a",`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if tag, ok := ParseETag(s); ok {
			again, ok := ParseETag(tag.String())
			assert.True(t, ok)
			assert.Equal(t, tag, again)
			assert.True(t, anyETag([]string{`"other", ` + s}, tag.WeakEqual))
		}
		anyETag([]string{s}, func(tag ETag) bool {
			_, ok := ParseETag(tag.String())
			assert.True(t, ok)
			return false
		})
	})
}
