package rfc9111

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInvalidates(t *testing.T) {
	const target = "https://Example.com/a/b?q=1"
	tests := []struct {
		name, method string
		status       int
		response     []string
		want         []string
	}{
		{"RFC 9111 §4.4 target", "POST", 200, nil, []string{target}},
		{"RFC 9111 §4.4 redirect", "POST", 303, nil, []string{target}},
		{"RFC 9111 §4.4 unknown method", "FROB", 204, nil, []string{target}},
		{"RFC 9111 §4.4 error", "POST", 400, []string{"Location", "/c"}, nil},
		{"RFC 9111 §4.4 server error", "DELETE", 500, nil, nil},
		{"RFC 9111 §4.4 interim", "POST", 103, nil, nil},
		{"RFC 9110 §9.2.1 GET", "GET", 200, nil, nil},
		{"RFC 9110 §9.2.1 OPTIONS", "OPTIONS", 200, nil, nil},
		{"RFC 9111 §4.4 Location", "POST", 201, []string{"Location", "/c#f"}, []string{target, "https://Example.com/c"}},
		{"RFC 9111 §4.4 Content-Location, relative", "PUT", 200, []string{"Content-Location", "../d"}, []string{target, "https://Example.com/d"}},
		{"RFC 9111 §4.4 both", "PUT", 200, []string{"Location", "/c", "Content-Location", "/d"}, []string{target, "https://Example.com/c", "https://Example.com/d"}},
		{"RFC 9111 §4.4 same as the target", "PUT", 200, []string{"Location", "https://example.COM:443/a/b?q=1"}, []string{target}},
		{"RFC 9111 §4.4 another host", "POST", 201, []string{"Location", "https://example.org/c"}, []string{target}},
		{"RFC 9111 §4.4 another host without scheme", "POST", 201, []string{"Location", "//example.org/c"}, []string{target}},
		{"RFC 9111 §4.4 another scheme", "POST", 201, []string{"Location", "http://example.com/c"}, []string{target}},
		{"RFC 9111 §4.4 another port", "POST", 201, []string{"Location", "https://example.com:8443/c"}, []string{target}},
		{"RFC 9111 §4.4 with credentials", "POST", 201, []string{"Location", "https://u:p@example.com/c"}, []string{target, "https://Example.com/c"}},
		{"RFC 9111 §4.4 opaque", "POST", 201, []string{"Location", "mailto:a@example.com"}, []string{target}},
		{"RFC 9111 §4.4 no URI", "POST", 201, []string{"Location", "http://[::1"}, []string{target}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(target)
			require.NoError(t, err)
			var got []string
			for _, uri := range Invalidates(tt.method, u, tt.status, fields(tt.response...)) {
				got = append(got, uri.String())
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"RFC 9110 §4.2.1 default port of http", "http://a/", "HTTP://A:80/", true},
		{"RFC 9110 §4.2.2 default port of https", "https://a/", "https://a:443/", true},
		{"RFC 9110 §4.3.1 the other's default port", "http://a/", "http://a:443/", false},
		{"RFC 9110 §4.3.1 scheme without default port", "x://a/", "x://a:1/", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := url.Parse(tt.a)
			require.NoError(t, err)
			b, err := url.Parse(tt.b)
			require.NoError(t, err)
			assert.Equal(t, tt.want, sameOrigin(a, b))
		})
	}
}

func FuzzInvalidates(f *testing.F) {
	for _, seed := range []string{"/c", "//x/y", "https:c", "https://example.com:443", "\x00", "?", "#"} {
		f.Add(seed)
	}
	target := &url.URL{Scheme: "https", Host: "example.com", Path: "/a"}
	f.Fuzz(func(t *testing.T, location string) {
		uris := Invalidates("POST", target, 201, fields("Location", location))
		assert.Equal(t, target, uris[0])
		for _, uri := range uris {
			assert.True(t, sameOrigin(uri, target))
			assert.Empty(t, uri.Fragment)
		}
	})
}
