package rfc9111

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecodedOutside(t *testing.T) {
	varied, gzip, none := http.Header{"Vary": {"Origin, accept-encoding"}}, http.Header{"Content-Encoding": {"gzip"}}, http.Header{}
	asking := func(codings ...string) http.Header { return http.Header{"Accept-Encoding": codings} }
	for _, tt := range []struct {
		outer, request, stored http.Header
		want                   bool
	}{
		{none, asking("gzip"), none, false},
		{varied, asking("gzip"), none, true},
		{varied, asking("identity;q=1, br"), none, true},
		{varied, asking("identity ; q=1"), none, false},
		{varied, asking("Identity", ""), none, false},
		{varied, none, none, false},
		{varied, asking("gzip"), varied, false}, // said by the handler
		{http.Header{"Vary": {"Accept-Encoding", "Accept-Encoding"}}, asking("gzip"), varied, true},
		{gzip, none, none, true},
		{gzip, asking("gzip"), gzip, false},
		{varied, asking("gzip"), gzip, false}, // coded already
	} {
		require.Equal(t, tt.want, RecodedOutside(tt.outer, tt.request, tt.stored), "%v", tt)
	}
}
