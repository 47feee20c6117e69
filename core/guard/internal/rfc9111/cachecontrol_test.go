package rfc9111

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseResponse(t *testing.T) {
	huge := Delta{Value: MaxDelta, Set: true}
	tests := []struct {
		name  string
		lines []string
		want  Directives
	}{
		{"RFC 9111 §5.2 absent", nil, Directives{}},
		{"RFC 9111 §5.2 empty", []string{""}, Directives{}},
		{"RFC 9110 §5.6.1.2 empty elements", []string{", ,max-age=5,,"}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2 names are case-insensitive", []string{"Max-AGE=5, PUBLIC, No-Store"}, Directives{MaxAge: seconds(5), Flags: Public | NoStore}},
		{"RFC 9111 §5.2 several lines", []string{"public", "max-age=5"}, Directives{MaxAge: seconds(5), Flags: Public}},
		{"RFC 9111 §5.2 quoted seconds", []string{`max-age="5"`}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2 quoted pair in seconds", []string{`max-age="\5"`}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2 leading zeros", []string{"max-age=0005"}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2.3 unknown extensions", []string{`community="UCI", x, y=z, max-age=5`}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2.3 sloppy extension", []string{`path=/a/b, max-age=5`}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §5.2.3 directives inside a quoted string", []string{`x="no-store, max-age=9", max-age=5`}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §1.2.2 overflow", []string{"max-age=2147483649, s-maxage=99999999999999999999999"}, Directives{MaxAge: huge, SMaxAge: huge}},
		{"RFC 9111 §1.2.2 largest", []string{"max-age=2147483647"}, Directives{MaxAge: seconds(2147483647)}},
		{"RFC 9111 §4.2.1 negative", []string{"max-age=-5"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 float", []string{"max-age=5.5"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 letters", []string{"max-age=5s"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 plus sign", []string{"max-age=+5"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 no argument", []string{"max-age"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 empty argument", []string{"max-age="}, Directives{MaxAge: seconds(0), Flags: Malformed}},
		{"RFC 9111 §4.2.1 space before =", []string{"max-age =5"}, Directives{MaxAge: seconds(0), Flags: Malformed}},
		{"RFC 9111 §4.2.1 space after =", []string{"max-age= 5"}, Directives{MaxAge: seconds(0), Flags: Malformed}},
		{"RFC 9111 §4.2.1 single quotes", []string{"max-age='5'"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §4.2.1 duplicates that agree", []string{"max-age=5", "max-age=5"}, Directives{MaxAge: seconds(5)}},
		{"RFC 9111 §4.2.1 duplicates that differ", []string{"max-age=5, max-age=9, max-age=5"}, Directives{MaxAge: seconds(0)}},
		{"RFC 9111 §5.2.2.4 no-cache", []string{"no-cache"}, Directives{Flags: NoCache}},
		{"RFC 9111 §5.2.2.4 qualified", []string{`no-cache="x-a, X-B,,"`}, Directives{NoCacheFields: []string{"X-A", "X-B"}}},
		{"RFC 9111 §5.2.2.4 qualified by a token", []string{"no-cache=x-a"}, Directives{NoCacheFields: []string{"X-A"}}},
		{"RFC 9111 §5.2.2.4 empty list", []string{`no-cache=""`}, Directives{Flags: NoCache}},
		{"RFC 9111 §5.2.2.4 unreadable list", []string{`no-cache="x a"`}, Directives{Flags: NoCache}},
		{"RFC 9111 §5.2.2.4 unqualified wins", []string{`no-cache="x-a", no-cache`}, Directives{Flags: NoCache}},
		{"RFC 9111 §5.2.2.4 unclosed", []string{`no-cache="x-a, max-age=5`}, Directives{Flags: NoCache | Malformed, MaxAge: seconds(0)}},
		{"RFC 9111 §5.2.2.7 private", []string{"private=set-cookie"}, Directives{PrivateFields: []string{"Set-Cookie"}}},
		{"RFC 9111 §5.2.2.7 of what the cache lives on", []string{`private="cache-control"`}, Directives{Flags: Private}},
		{"RFC 9111 §5.2.2.7 of a targeted field", []string{`private="cdn-cache-control"`}, Directives{Flags: Private}},
		{"RFC 9111 §5.2.2 must-revalidate with argument", []string{"must-revalidate=1"}, Directives{Flags: ProxyRevalidate}},
		{"RFC 9111 §5.2.2 no-store with argument", []string{"no-store=x"}, Directives{Flags: NoStore}},
		{"RFC 9111 §5.2.2 public with argument", []string{"public=x"}, Directives{}},
		{"RFC 9111 §5.2.2.3 must-understand", []string{"must-understand, no-store"}, Directives{Flags: MustUnderstand | NoStore}},
		{"RFC 9111 §5.2.2 the rest", []string{"proxy-revalidate, no-transform, must-revalidate"}, Directives{Flags: ProxyRevalidate | NoTransform | MustRevalidate}},
		{"RFC 8246 immutable", []string{"immutable"}, Directives{Flags: Immutable}},
		{"RFC 5861 windows", []string{"stale-while-revalidate=3, stale-if-error=4"}, Directives{StaleWhileRevalidate: seconds(3), StaleIfError: seconds(4)}},
		{"RFC 5861 malformed window", []string{"stale-while-revalidate=x"}, Directives{StaleWhileRevalidate: seconds(0)}},
		{"RFC 9111 §4.2.1 semicolons", []string{"max-age=5; private"}, Directives{MaxAge: seconds(0), Flags: Malformed | Private}},
		{"RFC 9111 §4.2.1 semicolon after a restriction", []string{"no-store; max-age=5"}, Directives{Flags: Malformed | NoStore}},
		{"RFC 9111 §4.2.1 semicolon after a permission", []string{"public; no-cache"}, Directives{Flags: Malformed | NoCache}},
		{"RFC 9111 §4.2.1 no-store behind an unclosed quote", []string{`x="y, no-store`}, Directives{Flags: Malformed | NoStore}},
		{"RFC 9111 §4.2.1 every restriction behind a permission", []string{"public; no-store no-cache; private; must-revalidate"}, Directives{Flags: Malformed | NoStore | NoCache | Private | ProxyRevalidate}},
		{"RFC 9111 §4.2.1 a restriction behind an extension", []string{"x; PRIVATE, max-age=5"}, Directives{Flags: Private, MaxAge: seconds(5)}},
		{"RFC 9110 §5.6.4 quote inside a quoted string", []string{`private="a\\"b"`}, Directives{Flags: Private | Malformed}},
		{"RFC 9110 §5.6.4 quoted pair without its byte", []string{`private="a\"`}, Directives{Flags: Private | Malformed}},
		{"RFC 9111 §5.2.2.4 of what says how to read the content", []string{`no-cache="content-encoding"`}, Directives{Flags: NoCache}},
		{"RFC 9111 §4.2.1 no name", []string{"=5"}, Directives{Flags: Malformed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := fields()
			h["Cache-Control"] = tt.lines
			assert.Equal(t, tt.want, ParseResponse(h, nil))
		})
	}
}

func TestParseResponseTargeted(t *testing.T) {
	targets := []string{"DLM-Cache-Control", "CDN-Cache-Control"}
	tests := []struct {
		name string
		h    []string
		want Directives
	}{
		{"RFC 9213 §2.2 replaces Cache-Control",
			[]string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=5"}, Directives{MaxAge: seconds(5), Flags: Targeted}},
		{"RFC 9213 §2.2 the first target decides",
			[]string{"CDN-Cache-Control", "max-age=5", "Dlm-Cache-Control", "max-age=7"}, Directives{MaxAge: seconds(7), Flags: Targeted}},
		{"RFC 9213 §2.1 empty falls through",
			[]string{"Dlm-Cache-Control", "", "CDN-Cache-Control", "max-age=5"}, Directives{MaxAge: seconds(5), Flags: Targeted}},
		{"RFC 9213 §2.1 unparsable falls through",
			[]string{"CDN-Cache-Control", "max-age=5,", "Cache-Control", "no-store"}, Directives{Flags: NoStore}},
		{"RFC 9213 §2.1 upper case is no key",
			[]string{"CDN-Cache-Control", "Max-Age=5", "Cache-Control", "no-store"}, Directives{Flags: NoStore}},
		{"RFC 9213 §2.1 a decimal is not converted",
			[]string{"CDN-Cache-Control", "max-age=5.0"}, Directives{MaxAge: seconds(0), Flags: Malformed | Targeted}},
		{"RFC 9213 §2.1 a string is not converted",
			[]string{"CDN-Cache-Control", `max-age="5"`}, Directives{MaxAge: seconds(0), Flags: Malformed | Targeted}},
		{"RFC 9213 §2.1 a negative number",
			[]string{"CDN-Cache-Control", "max-age=-5"}, Directives{MaxAge: seconds(0), Flags: Targeted}},
		{"RFC 9213 §2.1 parameters mean nothing",
			[]string{"CDN-Cache-Control", "max-age=5;x=1, private;y"}, Directives{MaxAge: seconds(5), Flags: Private | Targeted}},
		{"RFC 9213 §2.1 field names in a string",
			[]string{"CDN-Cache-Control", `private="set-cookie, x"`}, Directives{PrivateFields: []string{"Set-Cookie", "X"}, Flags: Targeted}},
		{"RFC 9213 §2.1 unknown members of any type",
			[]string{"CDN-Cache-Control", `a=1.5, b=(x y), c=?0, d=:YQ==:, max-age=5`}, Directives{MaxAge: seconds(5), Flags: Targeted}},
		{"RFC 8941 §4.2.2 the last of two values",
			[]string{"CDN-Cache-Control", "max-age=5", "CDN-Cache-Control", "max-age=6"}, Directives{MaxAge: seconds(6), Flags: Targeted}},
		{"RFC 9213 §2.1 an inner list leaves the restriction",
			[]string{"CDN-Cache-Control", "no-cache=(a b)"}, Directives{Flags: NoCache | Malformed | Targeted}},
		{"RFC 9213 §2.1 false states nothing",
			[]string{"CDN-Cache-Control", "no-store=?0"}, Directives{Flags: Targeted}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, ParseResponse(fields(tt.h...), targets))
		})
	}
}

func FuzzParseResponse(f *testing.F) {
	for _, seed := range []string{"max-age=5", `no-cache="a, b", private`, `x="\"`, `max-age=5; private`, `a="b,c="d,e="`, "max-age=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := parseCacheControl([]string{line})
		for _, delta := range []Delta{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
			assert.True(t, 0 <= delta.Value && delta.Value <= MaxDelta)
			assert.True(t, delta.Set || delta.Value == 0)
		}
		for _, name := range append(d.NoCacheFields, d.PrivateFields...) {
			assert.True(t, isToken(name) && !indispensable(name))
		}
		assert.False(t, d.Has(NoCache) && d.NoCacheFields != nil)

		// Another line can only restrict: whatever was forbidden stays so.
		const restrictions = NoStore | NoCache | Private | MustRevalidate | ProxyRevalidate | Malformed
		more := parseCacheControl([]string{line, "max-age=1, s-maxage=1, no-store"})
		assert.Zero(t, d.Flags&restrictions&^more.Flags)
		assert.True(t, more.Has(NoStore))
		assert.LessOrEqual(t, more.MaxAge.Value, time.Second)
	})
}

func FuzzParseTargeted(f *testing.F) {
	for _, seed := range []string{"max-age=5", `private="a, b", no-store;x=1`, "a=(1 2), max-age=1.5", "no-cache=:YQ==:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d, ok := parseTargeted([]string{line})
		assert.Equal(t, ok, d.Has(Targeted))
		assert.True(t, 0 <= d.MaxAge.Value && d.MaxAge.Value <= MaxDelta)
		if strings.TrimSpace(line) == "" {
			assert.False(t, ok)
		}
	})
}
