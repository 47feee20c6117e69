package rfc9111

import (
	"net/http"
	"strings"
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

func variant(vary string, codings []string, pairs ...string) string {
	v := ParseVary([]string{vary})
	r := &http.Request{Header: fields(pairs...)}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	return string(v.AppendVariant(nil, r, codings))
}

func TestVariant(t *testing.T) {
	br := []string{"br", "gzip"}
	tests := []struct {
		name    string
		vary    string
		codings []string
		a, b    []string
		same    bool
	}{
		{"RFC 9111 §4.1 fields that are not named", "X", nil, []string{"Y", "1"}, []string{"Y", "2"}, true},
		{"RFC 9111 §4.1 whitespace around a value", "X", nil, []string{"X", " 1\t"}, []string{"X", "1"}, true},
		{"RFC 9111 §4.1 lines combined", "X", nil, []string{"X", "1", "X", " 2"}, []string{"X", "1, 2"}, true},
		{"RFC 9111 §4.1 absent from both", "X", nil, nil, nil, true},
		{"RFC 9111 §4.1 absent and empty", "X", nil, nil, []string{"X", ""}, false},
		{"RFC 9111 §4.1 case of unknown values", "X", nil, []string{"X", "a"}, []string{"X", "A"}, false},
		{"RFC 9111 §4.1 commas of unknown values", "X", nil, []string{"X", "a,b"}, []string{"X", "a, b"}, false},
		{"RFC 9110 §12.5.4 case and whitespace of a known list", "Accept-Language", nil,
			[]string{"Accept-Language", "de-CH, en; q=0.5"}, []string{"Accept-Language", "DE-ch,,en;q=0.5"}, true},
		{"RFC 9110 §12.5.4 order is a preference", "Accept-Language", nil,
			[]string{"Accept-Language", "de,en"}, []string{"Accept-Language", "en,de"}, false},
		{"RFC 9110 §12.5.3 as written", "Accept-Encoding", nil,
			[]string{"Accept-Encoding", "gzip, br"}, []string{"Accept-Encoding", "br, gzip"}, false},
		{"RFC 9110 §12.5.3 normalized", "Accept-Encoding", br,
			[]string{"Accept-Encoding", "gzip, zstd, br;q=0.5"}, []string{"Accept-Encoding", "BR, *;q=0.1"}, true},
		{"RFC 9110 §12.5.3 normalized, refused", "Accept-Encoding", br,
			[]string{"Accept-Encoding", "gzip, br;q=0"}, []string{"Accept-Encoding", "gzip, br"}, false},
		{"RFC 9110 §12.5.3 normalized, absent", "Accept-Encoding", br, nil, []string{"Accept-Encoding", "identity"}, true},
		{"RFC 9110 §7.2 Host is in another place", "Host", nil, []string{"Host", "a"}, []string{"Host", "b"}, false},
		{"RFC 9110 §4.2.3 Host in lower case", "Host", nil, []string{"Host", "A"}, []string{"Host", "a"}, true},
		{"no value passes for two", "X, Y", nil, []string{"X", "1", "Y", "2"}, []string{"X", "1Y=2"}, false},
		{"values do not trade places", "X, Y", nil, []string{"X", "1"}, []string{"Y", "1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.same, variant(tt.vary, tt.codings, tt.a...) == variant(tt.vary, tt.codings, tt.b...))
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
		assert.Equal(t, same, string(v.AppendVariant(nil, a, nil)) == string(v.AppendVariant(nil, b, nil)))
	})
}

func TestAcceptEncoding(t *testing.T) {
	known := []string{"br", "gzip"}
	tests := []struct{ name, value, want string }{
		{"RFC 9110 §12.5.3 order of the server", "gzip, br", "br, gzip"},
		{"RFC 9110 §12.5.3 others are dropped", "zstd, gzip", "gzip"},
		{"RFC 9110 §12.5.3 *", "*", "br, gzip"},
		{"RFC 9110 §12.5.3 * for the rest", "br;q=0, *", "gzip"},
		{"RFC 9110 §12.5.3 named after *", "*, br;q=0", "gzip"},
		{"RFC 9110 §12.5.3 nothing but plain", "identity", ""},
		{"RFC 9110 §12.5.3 empty", "", ""},
		{"RFC 9110 §12.5.3 plain refused", "gzip, identity;q=0", "gzip, identity;q=0"},
		{"RFC 9110 §12.5.3 plain refused by *", "gzip, *;q=0", "gzip, identity;q=0"},
		{"RFC 9110 §12.4.2 zero", "gzip; Q=0.000", ""},
		{"RFC 9110 §12.4.2 small", "gzip;q=0.001", "gzip"},
		{"RFC 9110 §12.4.2 one", "gzip;q=1.000", "gzip"},
		{"RFC 9110 §12.4.2 above one", "gzip;q=1.5", ""},
		{"RFC 9110 §12.4.2 none", "gzip;q=x, br;q=", ""},
		{"RFC 9110 §8.4.1.3 x-gzip", "x-gzip", "gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, AcceptEncoding([]string{tt.value}, known)) })
	}
	assert.Empty(t, AcceptEncoding(nil, known))
}

func TestDecodable(t *testing.T) {
	tests := []struct {
		name            string
		accept, content []string
		want            bool
	}{
		{"plain", nil, nil, true},
		{"RFC 9110 §8.4.1 identity", nil, []string{"Content-Encoding", "identity"}, true},
		{"gzip for a client that says nothing", nil, []string{"Content-Encoding", "gzip"}, false},
		{"gzip for a client that reads it", []string{"Accept-Encoding", "br, gzip"}, []string{"Content-Encoding", "GZIP"}, true},
		{"gzip for a client that refuses it", []string{"Accept-Encoding", "br, gzip;q=0"}, []string{"Content-Encoding", "gzip"}, false},
		{"RFC 9110 §8.4 one of two codings", []string{"Accept-Encoding", "gzip"}, []string{"Content-Encoding", "gzip, br"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, Decodable(fields(tt.accept...), fields(tt.content...)))
		})
	}
}

// Normalizing twice is normalizing once, and never accepts more than before.
func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, br;q=0.5", "*;q=0, identity", "x-gzip;q=1.000", "gzip;;q", `"`} {
		f.Add(seed)
	}
	known := []string{"br", "gzip"}
	f.Fuzz(func(t *testing.T, value string) {
		once := AcceptEncoding([]string{value}, known)
		assert.Equal(t, once, AcceptEncoding([]string{once}, known))
		for _, coding := range append(known, "identity") {
			if strings.Contains(once, coding) && coding != "identity" {
				assert.True(t, accepts([]string{value}, coding))
			}
			assert.Equal(t, accepts([]string{value}, coding), accepts([]string{once}, coding), coding)
		}
	})
}

func BenchmarkAppendVariant(b *testing.B) {
	v := ParseVary([]string{"Accept-Language, Origin"})
	r := &http.Request{Header: fields("Origin", "https://example.com", "Accept-Language", "de-CH, de;q=0.9, en;q=0.8")}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = v.AppendVariant(dst[:0], r, nil)
	}
}

func BenchmarkDecodable(b *testing.B) {
	request, response := fields("Accept-Encoding", "gzip, deflate, br"), fields("Content-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		if !Decodable(request, response) {
			b.Fatal("not decodable")
		}
	}
}
