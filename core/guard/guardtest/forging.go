package guardtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

var forging = []behaviour{
	{name: "no spelling of a target forges the key of another", test: forged},
	{name: "every byte of a parameter counts, once decoded", test: everyByte, at: wrap},
}

// spelling is one way to write a request for GET /x/{id}?q={q}: what it means, or
// the statuses it may be turned away with.
type spelling struct {
	target string
	id, q  string
	or     []int // instead of 200, where routers and servers differ
	status int   // instead of id and q
}

// Where a router stands in the way of a path it would rewrite.
var (
	cleaned   = []int{301, 307, 308, 400, 404}
	separator = []int{404}
	unread    = []int{400}
)

var spellings = []spelling{
	// One meaning, spelled in several ways.
	{target: "/x/a?q=b", id: "a", q: "b"},
	{target: "/x/%61?q=b", id: "a", q: "b"},
	{target: "/x/a?%71=b", id: "a", q: "b"},
	{target: "/x/a?q=%62", id: "a", q: "b"},
	{target: "/x/a?q=b&r=1", id: "a", q: "b"},
	{target: "/x/a?r=1&q=b", id: "a", q: "b"},
	{target: "/x/a?&&q=b&", id: "a", q: "b"},
	{target: "http://evil.example/x/a?q=b", id: "a", q: "b"},
	{target: "/x/a%5Fb?q=c", id: "a_b", q: "c"},
	{target: "/x/a_b?q=c", id: "a_b", q: "c"},
	{target: "/x/a+b?q=c", id: "a+b", q: "c"},
	{target: "/x/a%2Bb?q=c", id: "a+b", q: "c"},
	{target: "/x/a%20b?q=c", id: "a b", q: "c"},
	{target: "/x/a?q=b+c", id: "a", q: "b c"},
	{target: "/x/a?q=b%20c", id: "a", q: "b c"},
	{target: "/x/a?q=b%2Bc", id: "a", q: "b+c"},
	// Separators of keys, of templates and of other people's conventions.
	{target: "/x/a?q=b_c", id: "a", q: "b_c"},
	{target: "/x/a:b?q=c", id: "a:b", q: "c"},
	{target: "/x/a?q=b:c", id: "a", q: "b:c"},
	{target: "/x/a|b?q=c", id: "a|b", q: "c"},
	{target: "/x/a?q=b|c", id: "a", q: "b|c"},
	{target: "/x/a,b?q=c", id: "a,b", q: "c"},
	{target: "/x/a?q=b,c", id: "a", q: "b,c"},
	{target: "/x/a~b?q=c", id: "a~b", q: "c"},
	{target: "/x/a.b?q=c", id: "a.b", q: "c"},
	{target: "/x/a;b?q=c", id: "a;b", q: "c"},
	{target: "/x/a;q=z?q=c", id: "a;q=z", q: "c"},
	{target: "/x/;?q=c", id: ";", q: "c"},
	{target: "/x/a@b?q=c", id: "a@b", q: "c"},
	{target: "/x/a=b?q=c", id: "a=b", q: "c"},
	{target: "/x/a&q=b?q=c", id: "a&q=b", q: "c"},
	{target: "/x/a%26q%3Db?q=c", id: "a&q=b", q: "c"},
	{target: "/x/a%3Fq%3Db?q=c", id: "a?q=b", q: "c"},
	{target: "/x/a%23b?q=c", id: "a#b", q: "c"},
	{target: "/x/1%7C1:x?q=c", id: "1|1:x", q: "c"},
	{target: "/x/o_a?q=c", id: "o_a", q: "c"},
	{target: "/x/%7Bid%7D?q=c", id: "{id}", q: "c"},
	{target: "/x/$%7Bid%7D?q=c", id: "${id}", q: "c"},
	{target: "/x/%3Cid%3E?q=c", id: "<id>", q: "c"},
	{target: "/x/%3Cquery:q%3E?q=c", id: "<query:q>", q: "c"},
	{target: "/x/%25s?q=c", id: "%s", q: "c"},
	{target: "/x/%25%73?q=c", id: "%s", q: "c"},
	{target: "/x/%25d?q=c", id: "%d", q: "c"},
	{target: "/x/*?q=c", id: "*", q: "c"},
	{target: "/x/%5Ba-z%5D?q=c", id: "[a-z]", q: "c"},
	{target: "/x/:id?q=c", id: ":id", q: "c"},
	{target: "/x/%00?q=c", id: "\x00", q: "c"},
	{target: "/x/a%00b?q=c", id: "a\x00b", q: "c"},
	{target: "/x/a?q=%00", id: "a", q: "\x00"},
	{target: "/x/a%0D%0Ab?q=c", id: "a\r\nb", q: "c"},
	{target: "/x/a?q=b%0D%0Ac", id: "a", q: "b\r\nc"},
	{target: "/x/%20?q=c", id: " ", q: "c"},
	{target: "/x/%09?q=c", id: "\t", q: "c"},
	{target: "/x/%22?q=c", id: `"`, q: "c"},
	{target: "/x/%5C?q=c", id: `\`, q: "c"},
	{target: "/x/'?q=c", id: "'", q: "c"},
	{target: "/x/%7F?q=c", id: "\x7f", q: "c"},
	// Encoded twice, thrice, and half.
	{target: "/x/%2561?q=c", id: "%61", q: "c"},
	{target: "/x/%25%36%31?q=c", id: "%61", q: "c"},
	{target: "/x/%252561?q=c", id: "%2561", q: "c"},
	{target: "/x/%2541%42?q=c", id: "%41B", q: "c"},
	{target: "/x/a%252Fb?q=c", id: "a%2Fb", q: "c"},
	{target: "/x/a%252fb?q=c", id: "a%2fb", q: "c"},
	{target: "/x/%252e%252e?q=c", id: "%2e%2e", q: "c"},
	{target: "/x/a%2500?q=c", id: "a%00", q: "c"},
	{target: "/x/a?q=%2562", id: "a", q: "%62"},
	{target: "/x/a?q=%252562", id: "a", q: "%2562"},
	// Slashes, encoded and not. To echo a parameter at the end is all that follows.
	{target: "/x/a%2Fb?q=c", id: "a/b", q: "c", or: separator},
	{target: "/x/a%2fb?q=c", id: "a/b", q: "c", or: separator},
	{target: "/x/%2F?q=c", id: "/", q: "c", or: cleaned},
	{target: "/x/a%2F?q=c", id: "a/", q: "c", or: cleaned},
	{target: "/x/a%5Cb?q=c", id: `a\b`, q: "c"},
	{target: "/x/a/b?q=c", id: "a/b", q: "c", or: separator},
	{target: "/x/a/?q=c", id: "a/", q: "c", or: cleaned},
	{target: "/x/?q=c", or: cleaned, status: 404},
	{target: "/x?q=c", or: cleaned, status: 404},
	{target: "/x//a?q=c", id: "/a", q: "c", or: cleaned},
	{target: "/x/a//?q=c", id: "a//", q: "c", or: cleaned},
	{target: "//x/a?q=c", or: cleaned, status: 404},
	{target: "/X/a?q=c", or: cleaned, status: 404},
	{target: "/%78/a?q=c", id: "a", q: "c", or: cleaned},
	// Dots.
	{target: "/x/.?q=c", id: ".", q: "c", or: cleaned},
	{target: "/x/..?q=c", id: "..", q: "c", or: cleaned},
	{target: "/x/%2e?q=c", id: ".", q: "c", or: cleaned},
	{target: "/x/%2e%2E?q=c", id: "..", q: "c", or: cleaned},
	{target: "/x/.%2e?q=c", id: "..", q: "c", or: cleaned},
	{target: "/x/...?q=c", id: "...", q: "c"},
	{target: "/x/a/../b?q=c", id: "a/../b", q: "c", or: cleaned},
	{target: "/x/a/./?q=c", id: "a/./", q: "c", or: cleaned},
	{target: "/./x/a?q=c", or: cleaned, status: 404},
	{target: "/y/../x/a?q=c", or: cleaned, status: 404},
	{target: "/x/..%2Fa?q=c", id: "../a", q: "c", or: cleaned},
	{target: "/x/%2e%2e%2fa?q=c", id: "../a", q: "c", or: cleaned},
	{target: "/x/a;/../b?q=c", id: "a;/../b", q: "c", or: cleaned},
	// Unicode: nothing is normalized, nothing is folded.
	{target: "/x/%C3%A9?q=c", id: "é", q: "c"},
	{target: "/x/é?q=c", id: "é", q: "c", or: unread},
	{target: "/x/e%CC%81?q=c", id: "e\u0301", q: "c"},
	{target: "/x/K?q=c", id: "K", q: "c"},
	{target: "/x/k?q=c", id: "k", q: "c"},
	{target: "/x/%E2%84%AA?q=c", id: "\u212a", q: "c"},
	{target: "/x/%C5%BF?q=c", id: "\u017f", q: "c"},
	{target: "/x/s?q=c", id: "s", q: "c"},
	{target: "/x/%C4%B1?q=c", id: "\u0131", q: "c"},
	{target: "/x/i?q=c", id: "i", q: "c"},
	{target: "/x/%C4%B0?q=c", id: "\u0130", q: "c"},
	{target: "/x/%EF%BC%8F?q=c", id: "\uff0f", q: "c"},
	{target: "/x/%E2%81%84?q=c", id: "\u2044", q: "c"},
	{target: "/x/%EF%BC%8E?q=c", id: "\uff0e", q: "c"},
	{target: "/x/%E2%80%8Ba?q=c", id: "\u200ba", q: "c"},
	{target: "/x/%EF%BB%BFa?q=c", id: "\ufeffa", q: "c"},
	{target: "/x/%E2%80%AEa?q=c", id: "\u202ea", q: "c"},
	{target: "/x/%C2%A0?q=c", id: "\u00a0", q: "c"},
	{target: "/x/%C0%AF?q=c", id: "\xc0\xaf", q: "c"},
	{target: "/x/%E0%80%AF?q=c", id: "\xe0\x80\xaf", q: "c"},
	{target: "/x/%C0%80?q=c", id: "\xc0\x80", q: "c"},
	{target: "/x/%ED%A0%80?q=c", id: "\xed\xa0\x80", q: "c"},
	{target: "/x/%FF%FE?q=c", id: "\xff\xfe", q: "c"},
	{target: "/x/%EF%BF%BD?q=c", id: "\ufffd", q: "c"},
	{target: "/x/a?q=%C3%A9", id: "a", q: "é"},
	{target: "/x/a?q=e%CC%81", id: "a", q: "e\u0301"},
	{target: "/x/%u0061?q=c", status: 400},
	// Parameters that are there twice, or only seem to be there.
	{target: "/x/d?q=b&q=c", id: "d", q: "b"},
	{target: "/x/d?q=c&q=b", id: "d", q: "c"},
	{target: "/x/d?q=b&%71=c", id: "d", q: "b"},
	{target: "/x/d?q=%zz&q=e", id: "d", q: "e"},
	{target: "/x/d?q=f&q=%zz", id: "d", q: "f"},
	{target: "/x/d?q=b;q=c", status: 400},
	{target: "/x/d?q;=b", status: 400},
	{target: "/x/d?Q=b", status: 400},
	{target: "/x/d?q%00=b", status: 400},
	{target: "/x/d?q%20=b", status: 400},
	{target: "/x/d?+q=b", status: 400},
	{target: "/x/d?q[]=b", status: 400},
	{target: "/x/d?q%5B%5D=b", status: 400},
	{target: "/x/d?qq=b", status: 400},
	{target: "/x/d?", status: 400},
	{target: "/x/d", status: 400},
	{target: "/x/d?q", status: 400},
	{target: "/x/d?q=", status: 400},
	{target: "/x/d?q=&q=b", status: 400},
	{target: "/x/d?q=%", status: 400},
	{target: "/x/d?q=%2", status: 400},
	{target: "/x/d?q=%zz", status: 400},
	{target: "/x/d?q==", id: "d", q: "="},
	{target: "/x/d?q=b=c", id: "d", q: "b=c"},
	{target: "/x/d?q=b?q=c", id: "d", q: "b?q=c"},
	{target: "/x/d?q=b#q=c", id: "d", q: "b#q=c", or: unread},
	{target: "/x/d??q=b", status: 400},
	// What is no request target at all.
	{target: "/x/%?q=c", status: 400},
	{target: "/x/%2?q=c", status: 400},
	{target: "/x/%zz?q=c", status: 400},
	{target: "/x/a%?q=c", status: 400},
	{target: "/x/a b?q=c", id: "a b", q: "c", or: unread},
	{target: "/x/a\x00?q=c", status: 400},
	{target: "/x/a\x7f?q=c", status: 400},
	{target: "/x/a\t?q=c", status: 400},
	{target: "x/a?q=c", status: 400},
	{target: "x:/x/a?q=c", id: "a", q: "c", or: cleaned},
	{target: "*", status: 400, or: cleaned},
	{target: "?q=c", status: 400, or: cleaned},
	// Long ones.
	{target: "/x/" + strings.Repeat("z", 511) + "?q=c", id: strings.Repeat("z", 511), q: "c"},
	{target: "/x/" + strings.Repeat("z", 512) + "?q=c", id: strings.Repeat("z", 512), q: "c"},
	{target: "/x/" + strings.Repeat("z", 513) + "?q=c", id: strings.Repeat("z", 513), q: "c"},
	{target: "/x/" + strings.Repeat("z", 4096) + "?q=c", id: strings.Repeat("z", 4096), q: "c"},
	{target: "/x/" + strings.Repeat("z", 4095) + "y?q=c", id: strings.Repeat("z", 4095) + "y", q: "c"},
	{target: "/x/y" + strings.Repeat("z", 4095) + "?q=c", id: "y" + strings.Repeat("z", 4095), q: "c"},
	{target: "/x/a?q=" + strings.Repeat("z", 4096), id: "a", q: strings.Repeat("z", 4096)},
	{target: "/x/" + strings.Repeat("%7A", 4096) + "?q=c", id: strings.Repeat("z", 4096), q: "c"},
	{target: "/x/" + strings.Repeat("z", 2<<20) + "?q=c", status: 431},
}

// told serves what the handler finds its request to be, and the name of its lock.
func (e *env) told() *site {
	handler := func(w http.ResponseWriter, r *http.Request) {
		lock, _ := core.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "%q %q %q", r.PathValue("id"), r.URL.Query().Get("q"), lock.Key())
	}
	return e.serve(route(e.guard(guard.Config{Key: keyfuncs.MustTemplate("o_<id>_<query:q>")}), handler))
}

func forged(e *env) { e.requireMeaning(spellings) }

// everyByte writes every byte into each of the two parameters in all ways there
// are. What they mean is percent-decoding, once (RFC 3986 §2.1).
func everyByte(e *env) {
	var rows []spelling
	for b := range 256 {
		c := string([]byte{byte(b)})
		path := spelling{target: fmt.Sprintf("/x/a%%%02Xb?q=c", b), id: "a" + c + "b", q: "c"}
		if c == "/" {
			path.or = separator
		}
		rows = append(rows, path,
			spelling{target: fmt.Sprintf("/x/a?q=b%%%02xc", b), id: "a", q: "b" + c + "c"},
			spelling{target: fmt.Sprintf("/x/a%%25%02Xb?q=c", b), id: fmt.Sprintf("a%%%02Xb", b), q: "c"})
	}
	e.requireMeaning(rows)
}

// requireMeaning asks for every row, and sees that two requests share a lock
// exactly when they mean the same.
func (e *env) requireMeaning(rows []spelling) {
	w := e.told().speaker()
	defer w.close()
	byMeaning, byLock := map[[2]string]string{}, map[string][2]string{}
	for _, row := range rows {
		shown := row.target[:min(len(row.target), 80)]
		a := w.send(asking(row.target))
		switch {
		case slices.Contains(row.or, a.StatusCode) && a.StatusCode != http.StatusOK:
			continue
		case e.http2 && a.StatusCode == 0: // what is no target has no stream
			require.True(e, row.status >= 400 || len(row.or) > 0 || row.target[0] != '/', "%q", shown)
			continue
		case row.status != 0:
			require.Equal(e, row.status, a.StatusCode, "%q: %s", shown, a.body)
			continue
		}
		require.Equal(e, http.StatusOK, a.StatusCode, "%q: %s", shown, a.body)
		var id, q, lock string
		_, err := fmt.Sscanf(a.body, "%q %q %q", &id, &q, &lock)
		require.NoError(e, err, "%q: %s", shown, a.body)
		meaning := [2]string{row.id, row.q}
		require.Equal(e, meaning, [2]string{id, q}, "%q", shown)
		if before, asked := byMeaning[meaning]; asked {
			require.Equal(e, before, lock, "%q means the same as an earlier request and has another lock", shown)
		}
		if other, taken := byLock[lock]; taken {
			require.Equal(e, other, meaning, "%q has the lock of another meaning", shown)
		}
		byMeaning[meaning], byLock[lock] = lock, meaning
	}
}
