package keyfuncs

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuery(t *testing.T) {
	tests := []struct{ target, key string }{
		{"/?page=2", "2"},
		{"/?page=1&page=2", "1"},
		{"/?x=1&page=2", "2"},
		{"/?pa%67e=2", "2"},
		{"/?page=a+b%2Bc", "a%20b+c"},
		{"/?page=1;x&page=2", "2"},
		{"/?page=%zz&page=2", "2"},
	}
	for _, tt := range tests {
		requireKey(t, tt.key, Query("page"), get(tt.target))
	}
	for _, target := range []string{"/", "/?page", "/?page=", "/?x=1;page=2", "/?Page=2"} {
		requireStatus[*MissingError](t, 400, Query("page"), get(target))
	}
	require.Panics(t, func() { Query("") })
}

// Beyond so many pairs net/url reads none, and so do handlers.
func TestQueryOfManyPairs(t *testing.T) {
	for _, pairs := range []int{99, 100, 101, 9999, 10000, 10001} {
		r := get("/?page=2" + strings.Repeat("&x", pairs-1))
		want := r.URL.Query().Get("page")
		got, err := MustTemplate("<query:page|default=1>")(r)
		require.NoError(t, err)
		require.Equal(t, cmp.Or(want, "1"), got, "of %d pairs", pairs)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("a=1&a=2;b&%61=3", "a")
	f.Add("&&=&a", "")
	f.Fuzz(func(t *testing.T, query, name string) {
		want, _ := url.ParseQuery(query)
		got, present := queryGet(query, name)
		if got != want.Get(name) || present != want.Has(name) {
			t.Fatalf("%q of %q is %q (%v), net/url says %q", name, query, got, present, want[name])
		}
	})
}

func TestQuerySorted(t *testing.T) {
	tests := []struct {
		target string
		names  []string
		key    string
	}{
		{"/?b=3&a=1&a=2", nil, "?a=1&a=2&b=3"},
		{"/?a=1&b=3&a=2", nil, "?a=1&a=2&b=3"},
		{"/?a=2&a=1", nil, "?a=2&a=1"},
		{"/?utm=x&page=2&q=go", []string{"q", "page"}, "?page=2&q=go"},
		{"/?q=a%26b%3Dc", nil, "?q=a%26b%3Dc"},
		{"/?%71=a", nil, "?q=a"},
		{"/?a=", nil, "?a="},
		{"/?a", nil, "?a="},
		{"/?x=1", []string{"q"}, "?"},
		{"/", nil, "?"},
		{"/?a=1;b=2&c=3", nil, "?c=3"},
	}
	for _, tt := range tests {
		requireKey(t, tt.key, QuerySorted(tt.names...), get(tt.target))
	}
	require.Panics(t, func() { QuerySorted("a", "") })
}

func TestQuerySortedKeepsItsNames(t *testing.T) {
	names := []string{"a"}
	f := QuerySorted(names...)
	names[0] = "b"
	requireKey(t, "?a=1", f, get("/?a=1&b=2"))
}

func FuzzQuerySorted(f *testing.F) {
	f.Add("a=1&b=2", "b=2&a=1")
	f.Add("a=1&b", "a=1%26b=")
	f.Fuzz(func(t *testing.T, a, b string) {
		key := func(query string) string {
			return keyOf(t, QuerySorted(), &http.Request{URL: &url.URL{RawQuery: query}})
		}
		va, _ := url.ParseQuery(a)
		vb, _ := url.ParseQuery(b)
		if (key(a) == key(b)) != (va.Encode() == vb.Encode()) {
			t.Fatalf("%q and %q give %q and %q", a, b, key(a), key(b))
		}
	})
}
