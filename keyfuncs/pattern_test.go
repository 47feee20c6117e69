package keyfuncs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatternParams(t *testing.T) {
	tests := []struct {
		pattern string
		names   []string
	}{
		{"", nil},
		{"/", nil},
		{"/{$}", nil},
		{"GET /a/{id}/b/{path...}", []string{"id", "path"}},
		{"GET example.com:8080/a/{id}", []string{"id"}},
		{"POST /users/:user/orders/:id", []string{"user", "id"}},
		{"/user_:name/x", []string{"name"}},
		{"/static/*filepath", []string{"filepath"}},
		{"/static/*", []string{"*"}},
		{"/v1/things\\:batch/:id", []string{"id"}},
		{"/{year:[0-9]{4}}/{slug:[a-z:*]+}/*", []string{"year", "slug", "*"}},
		{"/{lat}:{lng}", []string{"lat", "lng"}},
		{"/orders/{id}:pay", []string{"id"}},
		{"/{unclosed", []string{"unclosed"}},
		{"/{", nil},
		{"/:", nil},
		{"/\\", nil},
	}
	for _, tt := range tests {
		require.Equal(t, tt.names, patternParams(tt.pattern), tt.pattern)
	}
}

func FuzzPatternParams(f *testing.F) {
	for _, seed := range []string{"GET /a/{id}", "/:a/*b", "/{a:{}}", "/\\", "{", "/{:}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		for _, name := range patternParams(pattern) {
			if name == "" || name != "*" && !strings.Contains(pattern, name) {
				t.Fatalf("%q has no parameter %q", pattern, name)
			}
		}
	})
}

func TestCheck(t *testing.T) {
	for _, pattern := range []string{"GET /o/{id}", "/o/:id", "/o/{id:[0-9]+}", "/o/{id...}", "/o/*id"} {
		require.NoError(t, Check("order_<id>_<query:page|optional>", pattern))
	}

	err := Check("<org>_<id>_<user>", "/orgs/{org}")
	var route *RouteError
	require.ErrorAs(t, err, &route)
	require.Equal(t, &RouteError{Route: "/orgs/{org}", Template: "<org>_<id>_<user>", Name: "id"}, route)
	require.ErrorContains(t, err, `"user"`)

	var syntax *SyntaxError
	require.ErrorAs(t, Check("<id", "/{id}"), &syntax)
	require.ErrorContains(t, Check("<id>", "id"), "has no path")
	require.ErrorContains(t, Check("server_<host>", "/servers/:host"), "write <param:host>")
	require.NoError(t, Check("server_<param:host>", "/servers/:host"))
	require.NoError(t, Check("<query:host>", "/servers/:host"))
}
