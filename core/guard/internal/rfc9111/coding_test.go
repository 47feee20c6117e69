package rfc9111

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMayBeRecoded(t *testing.T) {
	gzip, none := http.Header{"Content-Encoding": {"gzip"}}, http.Header{}
	asking := func(codings ...string) http.Header { return http.Header{"Accept-Encoding": codings} }
	for _, tt := range []struct {
		outer, request, stored http.Header
		want                   bool
	}{
		{none, none, none, false},
		{none, asking("gzip"), none, true},
		{none, asking("identity;q=1, br"), none, true},
		{none, asking("identity ; q=1"), none, false},
		{none, asking("Identity", ""), none, false},
		{none, asking("identity;q=1, *;q=0"), none, false},
		{none, asking("gzip;q=0"), none, false},
		{gzip, none, none, true},
		{gzip, asking("gzip"), gzip, false}, // coded already
		{none, asking("gzip"), gzip, false},
	} {
		require.Equal(t, tt.want, MayBeRecoded(tt.outer, tt.request, tt.stored), "%v", tt)
	}
}
