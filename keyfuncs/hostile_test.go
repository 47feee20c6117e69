package keyfuncs

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostileValues are values a client may send to look like something else.
var hostileValues = []string{
	"x", "x:y", "x_y", "x/y", "x%2Fy", "x%252Fy", "%78", "x%", "%", "%2", "%--", "--",
	"{b}", "${b}", "{tag}", "<id>", "%s", "%!s(MISSING)", "*?[a-z]", "\\", "\"", "'", "`", "|",
	"\x00", "x\x00", "\r\nX: y", "\n", "\t", " ", "x ", "\xff", "\xfe", "\xc3\x28", "\u202e", "é", "e\u0301",
	"~1:x", "~", "..", "../x", "//", "K", "k", "\u212a", "-", "_", ":", ".", "+", "=", ",", "@",
}

func hostileKeys(t *testing.T, key func(a, b string) string) {
	t.Helper()
	seen := make(map[string][2]string)
	for _, a := range hostileValues {
		for _, b := range hostileValues {
			k := key(a, b)
			require.True(t, isPlainKey(k), "%q", k)
			other, taken := seen[k]
			require.False(t, taken, "(%q, %q) and %q share %q", a, b, other, k)
			seen[k] = [2]string{a, b}
		}
	}
}

func TestHostileValuesMakeDifferentKeys(t *testing.T) {
	for _, template := range []string{
		"<context:a>:<context:b>", "o_<context:a>_<context:b>", "<context:a>/<context:b>", "<context:a>-<context:b>",
		"<context:a>2F<context:b>", "{context:a}--{context:b}", "<context:a>|<context:b>|lock",
		"<context:a>.<context:b|hash>", "<context:a|hash>a<context:b>",
	} {
		f := MustTemplate(template)
		hostileKeys(t, func(a, b string) string { return keyOf(t, f, withValues("a", a, "b", b)) })
	}
	join := Join(Context("a"), Context("b"))
	hostileKeys(t, func(a, b string) string { return keyOf(t, join, withValues("a", a, "b", b)) })
	hash := Hash(Context("a"), Context("b"))
	hostileKeys(t, func(a, b string) string { return keyOf(t, hash, withValues("a", a, "b", b)) })
}

func TestHostileSeparators(t *testing.T) {
	f := MustTemplate("<context:a>:<context:b>")
	requireKey(t, "x%3Ay:z", f, withValues("a", "x:y", "b", "z"))
	requireKey(t, "x:y%3Az", f, withValues("a", "x", "b", "y:z"))

	f = MustTemplate("<context:a>_<context:b>")
	requireKey(t, "1%5F2_3", f, withValues("a", "1_2", "b", "3"))
	requireKey(t, "1_2%5F3", f, withValues("a", "1", "b", "2_3"))
}

func TestHostileMarkupIsLiteral(t *testing.T) {
	f := MustTemplate("o_<context:a>")
	for value, key := range map[string]string{
		"{b}":         "o_%7Bb%7D",
		"${b}":        "o_%24%7Bb%7D",
		"%s":          "o_%25s",
		"{tag}":       "o_%7Btag%7D",
		"<context:a>": "o_%3Ccontext:a%3E",
		"*?[":         "o_%2A%3F%5B",
		"a\r\nb":      "o_a%0D%0Ab",
		"\x00":        "o_%00",
		"\xff":        "o_%FF",
		"x%2Fy":       "o_x%252Fy",
		"..":          "o_..",
	} {
		requireKey(t, key, f, withValues("a", value))
	}
}

// routeParam routes target and returns the key of its parameter.
func routeParam(t *testing.T, target string) (key string, status int) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/two/{id}/y", func(w http.ResponseWriter, r *http.Request) {
		var err error
		if key, err = MustTemplate("two_<id>")(r); err != nil {
			w.WriteHeader(err.(interface{ HTTPStatus() int }).HTTPStatus())
		}
	})
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, get(target))
	return key, w.Code
}

func TestHostileSpellingsOfARouteParameter(t *testing.T) {
	tests := []struct{ target, key string }{
		{"/two/x/y", "two_x"},
		{"/two/%78/y", "two_x"},
		{"/two/x%2Fy/y", "two_x/y"},
		{"/two/x%2fy/y", "two_x/y"},
		{"/two/x%252Fy/y", "two_x%252Fy"},
		{"/two/%2578/y", "two_%2578"},
		{"/two/%00/y", "two_%00"},
		{"/two/%0d%0a/y", "two_%0D%0A"},
		{"/two/%ff/y", "two_%FF"},
		{"/two/%2e%2e/y", "two_.."},
	}
	for _, tt := range tests {
		key, status := routeParam(t, tt.target)
		if status == http.StatusTemporaryRedirect || status == http.StatusMovedPermanently {
			require.Contains(t, tt.target, "%2e", "only dots are cleaned away")
			continue
		}
		require.Equal(t, http.StatusOK, status, tt.target)
		require.Equal(t, tt.key, key, tt.target)
	}
}

func TestHostileEscapedSlashIsNotASlash(t *testing.T) {
	// One segment "x/y" is not the two segments "x" and "y".
	f := MustTemplate("<a>/<b>")
	one := get("/")
	one.SetPathValue("a", "x/y")
	one.SetPathValue("b", "z")
	two := get("/")
	two.SetPathValue("a", "x")
	two.SetPathValue("b", "y/z")
	require.NotEqual(t, keyOf(t, f, one), keyOf(t, f, two))
	require.NotEqual(t, keyOf(t, Path(), get("/x%2Fy")), keyOf(t, Path(), get("/x/y")))
	require.NotEqual(t, keyOf(t, Path(), get("/x%2Fy")), keyOf(t, Path(), get("/x%252Fy")))
}

func TestHostileEmptyParameterIsRefused(t *testing.T) {
	// gin and echo bind an empty parameter on //.
	for _, pattern := range []string{"GET /two/:id/y", "/two/{id}/y", ""} {
		requireStatus[*MissingError](t, 400, MustTemplate("two_<id>"), withParam(get("/two//y"), pattern, "id", ""))
	}
}

func TestHostileLongValuesDifferInTheirLastByte(t *testing.T) {
	long := strings.Repeat("a", 4096)
	for _, template := range []string{"o_<context:a>", "o_<context:a|hash>"} {
		f := MustTemplate(template)
		require.NotEqual(t, keyOf(t, f, withValues("a", long+"a")), keyOf(t, f, withValues("a", long+"b")))
	}
	require.Len(t, keyOf(t, MustTemplate("<context:a|hash>"), withValues("a", long)), 64)
	require.Len(t, keyOf(t, Hash(Context("a")), withValues("a", long)), 64)
}

func TestHostileQueries(t *testing.T) {
	all := QuerySorted()
	require.Equal(t, keyOf(t, all, get("/?a=1&b=2")), keyOf(t, all, get("/?b=2&a=1")))
	require.NotEqual(t, keyOf(t, all, get("/?a=1&a=2")), keyOf(t, all, get("/?a=2&a=1")))
	require.NotEqual(t, keyOf(t, all, get("/?a=1%26b=2")), keyOf(t, all, get("/?a=1&b=2")))
	require.NotEqual(t, keyOf(t, all, get("/?a=1%3Db=2")), keyOf(t, all, get("/?a=1&b=2")))
	require.NotEqual(t, keyOf(t, all, get("/?a=")), keyOf(t, all, get("/")))
	// The handler sees the first value; a second one must not make another key.
	require.Equal(t, keyOf(t, Query("a"), get("/?a=1&a=2")), keyOf(t, Query("a"), get("/?a=1")))
	// net/http gives the handler nothing that has a semicolon.
	requireStatus[*MissingError](t, 400, Query("a"), get("/?a=1;b=2"))
}

func TestHostileForwarding(t *testing.T) {
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-Url", "X-Http-Method-Override"} {
		forged := get("/o")
		forged.Header.Set(header, "for=10.1.1.1")
		plain := get("/o")
		for _, f := range []Func{IP(), IP(trusted), Host(), Path(), Method()} {
			require.Equal(t, keyOf(t, f, plain), keyOf(t, f, forged), header)
		}
	}
}

func TestHostileCrossRequests(t *testing.T) {
	// Where a template says so, the same parameter under another method, route
	// or host is another key.
	f := MustTemplate("<method>_<host>_<route>_<id>")
	base := func() *http.Request { return withParam(get("/o/1"), "/o/{id}", "id", "1") }
	key := keyOf(t, f, base())

	other := base()
	other.Method = "PUT"
	require.NotEqual(t, key, keyOf(t, f, other))
	other = base()
	other.Host = "other.example"
	require.NotEqual(t, key, keyOf(t, f, other))
	other = base()
	other.Pattern = "/p/{id}"
	require.NotEqual(t, key, keyOf(t, f, other))
}

func TestHostileCaseFolding(t *testing.T) {
	// The Kelvin sign lowers to k under Unicode's rules, and broken UTF-8 to
	// one replacement character: another user's name either way.
	f := MustTemplate("u_<context:a|lower>")
	require.Equal(t, keyOf(t, f, withValues("a", "ANN")), keyOf(t, f, withValues("a", "ann")))
	require.NotEqual(t, keyOf(t, f, withValues("a", "\u212a")), keyOf(t, f, withValues("a", "k")))
	require.NotEqual(t, keyOf(t, f, withValues("a", "A\xff")), keyOf(t, f, withValues("a", "A\xfe")))
}

func TestErrorsNameNoValues(t *testing.T) {
	const secret = "s3cret"
	r := postJSON(`{"token":"` + secret + `"`)
	r.Header.Set("X-Forwarded-For", secret)
	for _, f := range []Func{
		JSON("/token"), IP(netip.MustParsePrefix("192.0.2.0/24")), Cookie("sid"), Form("token"),
	} {
		_, err := f(r)
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
	}
}
