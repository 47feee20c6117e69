package guard

import (
	"net/http"
	"slices"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// cookiesOf are those that h sets, in any spelling.
func cookiesOf(h http.Header) []string { return rfc9111.Canonical(h)["Set-Cookie"] }

// cookiesGoWith reports whether middleware in front of the Guard sets cookies that make
// what was recorded personal. One that is set before the handler runs may be what it
// goes by, as a token against forged requests is; where cookies make no difference it is
// not. One that is set meanwhile is the handler's doing: a session that was begun with
// the writer outside.
func (g *Guard) cookiesGoWith(rec *recorder) bool {
	now := cookiesOf(rec.w.Header())
	if g.DangerouslyCacheCookies {
		return len(now) > 0 && !slices.Equal(rec.cookies, now)
	}
	return len(rec.cookies)+len(now) > 0
}
