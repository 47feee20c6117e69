package rfc9111

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseVary(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  Vary
	}{
		{"RFC 9110 §12.5.5 absent", nil, Vary{}},
		{"RFC 9110 §12.5.5 empty", []string{" , "}, Vary{}},
		{"RFC 9110 §12.5.5 any order, case and lines", []string{"accept-language,ACCEPT", "Accept "}, Vary{Fields: []string{"Accept", "Accept-Language"}}},
		{"RFC 9110 §12.5.5 *", []string{"accept", "*"}, Vary{Any: true, Fields: []string{"Accept"}}},
		{"RFC 9110 §5.1 no field name", []string{"a b"}, Vary{Invalid: true}},
		{"RFC 9110 §5.1 quoted", []string{`"accept"`}, Vary{Invalid: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, ParseVary(tt.lines)) })
	}
}

func variant(vary string, pairs ...string) string {
	v := ParseVary([]string{vary})
	r := &http.Request{Header: fields(pairs...)}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	return string(v.AppendVariant(nil, r))
}

func TestVariant(t *testing.T) {
	tests := []struct {
		name string
		vary string
		a, b []string
		same bool
	}{
		{"RFC 9111 §4.1 fields that are not named", "X", []string{"Y", "1"}, []string{"Y", "2"}, true},
		{"RFC 9111 §4.1 whitespace around a value", "X", []string{"X", " 1\t"}, []string{"X", "1"}, true},
		{"RFC 9111 §4.1 lines combined", "X", []string{"X", "1", "X", " 2"}, []string{"X", "1, 2"}, true},
		{"RFC 9111 §4.1 absent from both", "X", nil, nil, true},
		{"RFC 9111 §4.1 absent and empty", "X", nil, []string{"X", ""}, false},
		{"RFC 9111 §4.1 case of unknown values", "X", []string{"X", "a"}, []string{"X", "A"}, false},
		{"RFC 9111 §4.1 commas of unknown values", "X", []string{"X", "a,b"}, []string{"X", "a, b"}, false},
		{"RFC 9110 §12.5.4 case and whitespace of a known list", "Accept-Language",
			[]string{"Accept-Language", "de-CH, en; q=0.5"}, []string{"Accept-Language", "DE-ch,,en;q=0.5"}, true},
		{"RFC 9110 §12.5.4 order is a preference", "Accept-Language",
			[]string{"Accept-Language", "de,en"}, []string{"Accept-Language", "en,de"}, false},
		{"RFC 9110 §12.5.3 as written", "Accept-Encoding",
			[]string{"Accept-Encoding", "gzip, br"}, []string{"Accept-Encoding", "br, gzip"}, false},
		{"RFC 9110 §7.2 Host is in another place", "Host", []string{"Host", "a"}, []string{"Host", "b"}, false},
		{"RFC 9110 §4.2.3 Host in lower case", "Host", []string{"Host", "A"}, []string{"Host", "a"}, true},
		{"no value passes for two", "X, Y", []string{"X", "1", "Y", "2"}, []string{"X", "1Y=2"}, false},
		{"values do not trade places", "X, Y", []string{"X", "1"}, []string{"Y", "1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.same, variant(tt.vary, tt.a...) == variant(tt.vary, tt.b...))
		})
	}
}

func FuzzVariantIsInjective(f *testing.F) {
	f.Add("X, Y", "1", "2", "1\x01Y", "")
	f.Add("X", "a, b", "", "a", "b")
	f.Fuzz(func(t *testing.T, vary, x1, y1, x2, y2 string) {
		v := ParseVary([]string{vary, "X, Y"})
		a := &http.Request{Header: http.Header{"X": {x1}, "Y": {y1}}}
		b := &http.Request{Header: http.Header{"X": {x2}, "Y": {y2}}}
		same := trimOWS(x1) == trimOWS(x2) && trimOWS(y1) == trimOWS(y2)
		assert.Equal(t, same, string(v.AppendVariant(nil, a)) == string(v.AppendVariant(nil, b)))
	})
}

func BenchmarkAppendVariant(b *testing.B) {
	v := ParseVary([]string{"Accept-Language, Origin"})
	r := &http.Request{Header: fields("Origin", "https://example.com", "Accept-Language", "de-CH, de;q=0.9, en;q=0.8")}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = v.AppendVariant(dst[:0], r)
	}
}
