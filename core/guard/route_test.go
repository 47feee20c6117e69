package guard

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoutersAgreeOnARoute(t *testing.T) {
	for _, group := range [][]string{
		{"/orders/{}", "/orders/:id", "/orders/{id}", "GET /orders/{id}", "GET example.com/orders/{id}", "/orders/{id:[0-9]+}", "/orders/{id:[0-9]{1,3}}", "/orders/:other"},
		{"/files/{...}", "/files/*path", "/files/{path...}", "/files/*"},
		{"/a/{}/b/{}", "/a/:x/b/:y", "/a/{x}/b/{y}"},
		{"/a/{$}", "GET /a/{$}"},
		{"", "", "GET", "example.com"},
		{"/orders/{}:pay", "/orders/{id}:pay"},
		{"/orders/{}:cancel", "/orders/{id}:cancel"},
		{"/orders:batch", "POST /orders:batch", "example.com/orders:batch"},
		{"/{}:{}", "/{lat}:{lng}"},
	} {
		for _, pattern := range group[1:] {
			require.Equal(t, group[0], string(appendRoute(nil, pattern)), pattern)
		}
	}
}

func FuzzAppendRoute(f *testing.F) {
	for _, seed := range []string{"/a/{id}", "/:", "/{", "/{a:{}", "*", "/\\:x", "//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		require.LessOrEqual(t, len(appendRoute(nil, pattern)), 5*len(pattern))
	})
}

// FuzzNamesAreInjective looks for two requests that differ and are named alike.
func FuzzNamesAreInjective(f *testing.F) {
	f.Add("k", "h", "/p", "q", "k", "h", "/p", "r")
	f.Add("a|1:b", "h", "/", "", "a", "b|h", "/", "")
	g := &Guard{settings: settings{Config: Config{Key: func(r *http.Request) (string, error) { return r.Header.Get("K"), nil }}}}
	name := func(key, host, path, query string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI, r.Host, r.Pattern = "", host, "/"
		r.URL.Path, r.URL.RawQuery = path, query
		r.RequestURI = r.URL.EscapedPath()
		if query != "" {
			r.RequestURI += "?" + query
		}
		return string(g.appendValueName(nil, key, r))
	}
	f.Fuzz(func(t *testing.T, k1, h1, p1, q1, k2, h2, p2, q2 string) {
		same := name(k1, h1, p1, q1) == name(k2, h2, p2, q2)
		lower := func(s string) string { return string(appendLowered(nil, s)) }
		equal := k1 == k2 && lower(h1) == lower(h2) && p1 == p2 && q1 == q2
		if same && !equal {
			t.Fatalf("one name for %q and %q", []string{k1, h1, p1, q1}, []string{k2, h2, p2, q2})
		}
	})
}
