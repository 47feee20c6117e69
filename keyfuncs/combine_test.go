package keyfuncs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

var errCustom = errors.New("custom")

func failingFunc(err error) Func {
	return func(*http.Request) (string, error) { return "", err }
}

func TestStatic(t *testing.T) {
	requireKey(t, "nightly:v2[1]", Static("nightly:v2[1]"), get("/"))
	requireKey(t, "100%25%20%7B%C3%A9%7D", Static("100% {é}"), get("/"))
	require.Panics(t, func() { Static("") })
}

func TestPrefix(t *testing.T) {
	requireKey(t, "v2:order_7", Prefix("v2:", MustTemplate("order_<query:id>")), get("/?id=7"))
	requireKey(t, "%C3%A9:x%2520", Prefix("é:", Query("id")), get("/?id=x%2520"))
}

func TestJoin(t *testing.T) {
	r := get("/?a=x:y&b=50%25")
	requireKey(t, "order:x%3Ay:50%2525", Join(Static("order"), Query("a"), Query("b")), r)
	requireKey(t, "/:?a=x%3Ay&b=50%2525", Join(Path(), QuerySorted()), r)
	requireKey(t, "a%3Ab:c", Join(Join(Static("a"), Static("b")), Static("c")), r)
}

func TestHashIsAsDocumented(t *testing.T) {
	sum := sha256.Sum256([]byte("\x00\x00\x00\x00\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c"))
	requireKey(t, hex.EncodeToString(sum[:]), Hash(Static("ab"), Static("c")), get("/"))

	// The modifier hashes the value itself, as sha256sum does.
	requireKey(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		MustTemplate("<query:q|hash>"), get("/?q=abc"))
}

func TestFirst(t *testing.T) {
	missing := failingFunc(&MissingError{Source: "header", Name: "A"})
	other := failingFunc(&MissingError{Source: "query", Name: "b"})
	lacking := failingFunc(&RouteError{Route: "/x", Template: "<id>", Name: "id"})
	r := get("/")

	requireKey(t, "a", First(Static("a"), Static("b")), r)
	requireKey(t, "~1:b", First(missing, Static("b")), r)
	requireKey(t, "~2:c", First(missing, lacking, Static("c")), r)
	requireKey(t, "~0:~1:b", First(Static("~1:b"), missing), r)

	require.Equal(t, "A", requireStatus[*MissingError](t, 400, First(lacking, missing, other), r).Name)
	requireStatus[*RouteError](t, 500, First(lacking, lacking), r)
	_, err := First(missing, failingFunc(errCustom), Static("c"))(r)
	require.ErrorIs(t, err, errCustom)
	_, err = First(failingFunc(&BodyTooLargeError{Limit: 1}), Static("c"))(r)
	require.Error(t, err)
}

func TestFirstKeepsNamesApart(t *testing.T) {
	f := First(Context("user"), IP())
	anonymous := get("/")
	named := anonymous.WithContext(WithValue(anonymous.Context(), "user", keyOf(t, IP(), anonymous)))
	require.NotEqual(t, keyOf(t, f, anonymous), keyOf(t, f, named))
}

func TestWhen(t *testing.T) {
	f := When(func(r *http.Request) bool { return r.Method == http.MethodGet }, Static("all"), Query("id"))
	requireKey(t, "all", f, get("/"))
	r := get("/?id=all")
	r.Method = http.MethodPut
	requireKey(t, "~1:all", f, r)
}

func TestCombinatorsPassErrorsOn(t *testing.T) {
	fails := failingFunc(errCustom)
	yes := func(*http.Request) bool { return true }
	for name, f := range map[string]Func{
		"Join": Join(Static("a"), fails), "Hash": Hash(Static("a"), fails), "Prefix": Prefix("a", fails),
		"First": First(fails, Static("a")), "When": When(yes, fails, Static("a")),
	} {
		key, err := f(get("/"))
		require.ErrorIs(t, err, errCustom, name)
		require.Empty(t, key, name)
	}
}

func TestCombinatorsRefuseNil(t *testing.T) {
	yes := func(*http.Request) bool { return true }
	for name, call := range map[string]func(){
		"Join none":  func() { Join() },
		"Join nil":   func() { Join(Static("a"), nil) },
		"Hash none":  func() { Hash() },
		"First none": func() { First() },
		"Prefix":     func() { Prefix("a", nil) },
		"When then":  func() { When(yes, nil, Static("a")) },
		"When cond":  func() { When(nil, Static("a"), Static("b")) },
	} {
		require.Panics(t, call, name)
	}
}
