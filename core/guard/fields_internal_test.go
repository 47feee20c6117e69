package guard

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
)

// Whoever overwrites the values of a hit in spite of all that is written about
// it does so for a second, and not to what is stored.
func TestOverwrittenHitsLastASecond(t *testing.T) {
	g := &Guard{settings: settings{Config: Config{CacheName: "dlm"}}}
	r := &response{header: http.Header{"Link": {"</a>", "</b>"}, "Content-Type": {"text/plain"}}}
	r.meta.Lifetime = time.Minute
	for age := range 3 * time.Second / time.Second {
		h := http.Header{}
		g.setHeader(h, &cache.Result[*response]{Value: r, State: cache.Fresh, Age: age * time.Second}, "")
		require.Equal(t, http.Header{
			"Link": {"</a>", "</b>"}, "Content-Type": {"text/plain"},
			"Age": {seconds(age * time.Second)}, "Cache-Status": {"dlm;hit;ttl=" + seconds(time.Minute-age*time.Second)},
		}, h)
		for _, values := range h {
			for i := range values {
				values[i] = "overwritten"
			}
		}
	}
}
