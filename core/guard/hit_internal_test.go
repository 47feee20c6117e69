package guard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// Requests as long as a server allows leave nothing of their length behind.
func TestScratchKeepsNoLongText(t *testing.T) {
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	g, err := New(Config{Locks: locks, Fresh: time.Hour, Store: cache.NewMemory(1 << 20), Key: func(r *http.Request) (string, error) { return r.URL.RawQuery, nil }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	s := &scratch{}
	kept := func() (n int) {
		n = cap(s.name) + cap(s.place.name) + cap(s.place.host)
		for i := range s.recall {
			last := &s.recall[i]
			n += cap(last.key) + cap(last.host) + cap(last.path) + cap(last.rawPath) + cap(last.query) + cap(last.request)
		}
		return n
	}
	for _, length := range []int{100, 1 << 10, 1 << 20} {
		for _, last := range "0123456789abcdef" {
			query := strings.Repeat("q", length) + string(last)
			r := httptest.NewRequest(http.MethodGet, "/x?"+query, nil)
			g.find(s, r, query)
			r.Host = strings.Repeat("h", length)
			g.find(s, r, "k"+string(last))
		}
	}
	require.Positive(t, kept())
	require.Less(t, kept(), 2*len(s.recall)*maxScratch*3)
}
