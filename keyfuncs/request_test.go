package keyfuncs

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeader(t *testing.T) {
	r := get("/")
	r.Header.Add("X-Tenant", "acme")
	r.Header.Add("X-Tenant", "other")
	requireKey(t, "acme", Header("x-tenant"), r)
	requireStatus[*MissingError](t, 400, Header("X-Other"), r)
	require.PanicsWithValue(t, "keyfuncs: header: the Host header is the source host", func() { Header("host") })
	require.Panics(t, func() { Header("a b") })
	require.Panics(t, func() { Header("") })
}

func TestCookie(t *testing.T) {
	r := get("/")
	r.Header.Set("Cookie", `a=1; sid="x y"; sid=2`)
	requireKey(t, "x%20y", Cookie("sid"), r)
	requireStatus[*MissingError](t, 400, Cookie("SID"), r)
	require.Panics(t, func() { Cookie("a=b") })
}

func TestContext(t *testing.T) {
	requireKey(t, "ann", Context("user"), withValues("user", "ann", "tenant", "acme"))
	requireStatus[*MissingError](t, 400, Context("user"), withValues("tenant", "acme"))
	requireStatus[*MissingError](t, 400, Context("user"), withValues("user", ""))
	require.Panics(t, func() { Context("") })
}

func TestMethod(t *testing.T) {
	requireKey(t, "GET", Method(), get("/"))
	requireKey(t, "GET", Method(), &http.Request{})
	requireKey(t, "PURGE", Method(), &http.Request{Method: "PURGE"})
}

func TestHostIsOneForAllSpellings(t *testing.T) {
	tests := []struct {
		host string
		tls  bool
		key  string
	}{
		{"example.com", false, "example.com"},
		{"EXAMPLE.com.", false, "example.com"},
		{"example.com.:80", false, "example.com"},
		{"example.com:", false, "example.com"},
		{"example.com:443", false, "example.com:443"},
		{"example.com:443", true, "example.com"},
		{"example.com:0443", true, "example.com"},
		{"example.com:08080", false, "example.com:8080"},
		{"example.com:80", true, "example.com:80"},
		{"[2001:DB8::1]", false, "%5B2001:db8::1%5D"},
		{"[2001:db8::1]:80", false, "%5B2001:db8::1%5D"},
		{"[2001:db8::1]:8080", false, "%5B2001:db8::1%5D:8080"},
	}
	for _, tt := range tests {
		r := &http.Request{Host: tt.host}
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		requireKey(t, tt.key, Host(), r)
	}
	requireStatus[*MissingError](t, 400, Host(), &http.Request{})
}

func TestPathIsOneForAllSpellings(t *testing.T) {
	tests := []struct{ target, key string }{
		{"/orders/42", "/orders/42"},
		{"/two/%78/y", "/two/x/y"},
		{"/x%2Fy", "/x%252Fy"},
		{"/x%2fy", "/x%252Fy"},
		{"/x%252Fy", "/x%25252Fy"},
		{"/%78%2Fy", "/x%252Fy"},
		{"/a//b/../c", "/a//b/../c"},
		{"/a%20b", "/a%20b"},
		{"/%00", "/%00"},
		{"/%ff", "/%FF"},
	}
	for _, tt := range tests {
		requireKey(t, tt.key, Path(), get(tt.target))
	}
	requireKey(t, "/", Path(), &http.Request{URL: &url.URL{}})
}

// FuzzPath holds that two paths give one key exactly when their segments
// decode alike.
func FuzzPath(f *testing.F) {
	f.Add("/two/%78/y", "/two/x/y")
	f.Add("/x%2Fy", "/x/y")
	f.Add("/x%252Fy", "/x%2Fy")
	f.Fuzz(func(t *testing.T, a, b string) {
		ua, errA := url.ParseRequestURI("/" + a)
		ub, errB := url.ParseRequestURI("/" + b)
		if errA != nil || errB != nil {
			return
		}
		same := slices.Equal(segments(t, ua), segments(t, ub))
		if ka, kb := canonicalPath(ua), canonicalPath(ub); same != (ka == kb) {
			t.Fatalf("%q and %q give %q and %q", a, b, ka, kb)
		}
	})
}

func segments(t *testing.T, u *url.URL) []string {
	parts := strings.Split(u.EscapedPath(), "/")
	for i, p := range parts {
		var err error
		parts[i], err = url.PathUnescape(p)
		require.NoError(t, err)
	}
	return parts
}

func TestRoute(t *testing.T) {
	key, err := serve(t, "/orders/{id}", Route(), get("/orders/42"))
	require.NoError(t, err)
	require.Equal(t, "/orders/%7Bid%7D", key)
	requireStatus[*MissingError](t, 400, Route(), get("/"))
}
