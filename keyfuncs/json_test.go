package keyfuncs

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJSON(t *testing.T) {
	tests := []struct{ pointer, body, key string }{
		{"/id", `{"id":42}`, "42"},
		{"/id", `{"id":"42"}`, "42"},
		{"/id", ` {"x":[{"id":1}],"id":42,"y":{"id":2}} `, "42"},
		{"/order/id", `{"order":{"x":{},"id":"a/b"},"id":1}`, "a/b"},
		{"/items/1/id", `{"items":[{"id":1},{"id":2},3]}`, "2"},
		{"/0", `[true]`, "true"},
		{"/1", `{"1":false}`, "false"},
		{"", `"x"`, "x"},
		{"/a~1b/~0", `{"a/b":{"~":1}}`, "1"},
		{"/", `{"":1}`, "1"},
		{"/n", `{"n":-1.50e2}`, "-150"},
		{"/s", `{"s":"\u00e9\u0000"}`, "%C3%A9%00"},
	}
	for _, tt := range tests {
		t.Run(tt.pointer+" "+tt.body, func(t *testing.T) {
			requireKey(t, tt.key, JSON(tt.pointer), postJSON(tt.body))
		})
	}
}

func TestJSONMissing(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"id":null}`, `{"id":""}`, `[]`, `7`, `null`, `{"x":{"id":1}}`, `["id"]`,
	} {
		requireStatus[*MissingError](t, 400, JSON("/id"), postJSON(body))
	}
	for _, pointer := range []string{"/01", "/-", "/1", "/x"} {
		requireStatus[*MissingError](t, 400, JSON(pointer), postJSON(`["a"]`))
	}
	requireKey(t, "o_", MustTemplate("o_<json:/id|optional>"), postJSON(`{"id":null}`))
	requireKey(t, "o_%--", MustTemplate("o_<json:/id|optional>"), postJSON(`{"id":""}`))
}

func TestJSONMalformed(t *testing.T) {
	for _, body := range []string{
		`{"id":1`, `{"id":1}}`, `{"id":1}{"id":2}`, `{"id":1,}`, "\xef\xbb\xbf{}", `id=1`, ` `,
		`{"id":{}}`, `{"id":[1]}`,
		`{"id":1,"id":2}`, `{"id":1,"id":1}`,
		// encoding/json would take each of these members for "id".
		`{"id":1,"ID":2}`, `{"ID":2}`, `{"Id":2,"id":1}`,
		`{"id":1e99999999999}`,
	} {
		t.Run(body, func(t *testing.T) {
			malformed := requireStatus[*MalformedError](t, 400, JSON("/id"), postJSON(body))
			require.Contains(t, malformed.Error(), `json "/id"`)
			// A value left out falls back on nothing where it might be there.
			requireStatus[*MalformedError](t, 400, MustTemplate("<json:/id|default=1>"), postJSON(body))
		})
	}
	requireStatus[*MalformedError](t, 400, JSON("/k/id"), postJSON(`{"k":{"id":1},"K":{"id":2}}`))
}

func TestJSONTakesNoDeepNesting(t *testing.T) {
	body := strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000)
	requireStatus[*MalformedError](t, 400, JSON("/id"), postJSON(body))
}

func TestJSONRefusesBadPointer(t *testing.T) {
	require.PanicsWithValue(t, "keyfuncs: json: a JSON pointer begins with a slash, as in /order/id", func() { JSON("id") })
	require.Panics(t, func() { JSON("/a~") })
	require.Panics(t, func() { JSON("/id", WithMaxBody(0)) })
}

// FuzzJSON holds that the key and a handler that decodes with encoding/json,
// into a map or into a struct, see the same value.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"id":"a"}`))
	f.Add([]byte(`{"Id":1,"id":"x"}`))
	f.Add([]byte(`{"id":"a","x":[{"id":1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		value, present, err := jsonLookup(body, []string{"id"})
		if err != nil {
			return
		}
		var asStruct struct {
			ID any `json:"id"`
		}
		var asMap map[string]any
		_ = json.Unmarshal(body, &asStruct)
		_ = json.Unmarshal(body, &asMap)
		if !present {
			value = ""
		}
		for _, got := range []any{asStruct.ID, asMap["id"]} {
			if text, ok := got.(string); ok && (text != value || !present) || got == nil && present {
				t.Fatalf("%q: the key sees %q (%v), the handler %v", body, value, present, got)
			}
		}
	})
}

func TestCanonicalNumber(t *testing.T) {
	tests := []struct{ text, want string }{
		{"42", "42"}, {"42.0", "42"}, {"4.2e1", "42"}, {"420E-1", "42"}, {"0.0042e+4", "42"},
		{"0", "0"}, {"-0", "0"}, {"-0.0e5", "0"}, {"-42", "-42"},
		{"1.5", "1.5"}, {"0.5", "0.5"}, {"0.05", "0.05"}, {"-1e-3", "-0.001"},
		{"9007199254740993", "9007199254740993"}, {"18446744073709551615", "18446744073709551615"},
		{"1e20", "100000000000000000000"}, {"1e21", "1e21"}, {"10e20", "1e21"}, {"1.25e30", "125e28"},
		{"1e-30", "1e-30"},
	}
	for _, tt := range tests {
		got, err := canonicalNumber(tt.text)
		require.NoError(t, err)
		require.Equal(t, tt.want, got, tt.text)
	}
	for _, text := range []string{"1e2000000000", "1e-2000000000", "1e99999999999999999999"} {
		_, err := canonicalNumber(text)
		require.ErrorIs(t, err, errNumberRange)
	}
}

// FuzzNumber holds that two numbers have one form exactly when they are equal.
func FuzzNumber(f *testing.F) {
	f.Add("42", "4.2e1")
	f.Add("1e21", "1000000000000000000000")
	f.Add("-0", "0.0")
	f.Fuzz(func(t *testing.T, a, b string) {
		ra, okA := smallNumber(a)
		rb, okB := smallNumber(b)
		if !okA || !okB {
			return
		}
		ca, errA := canonicalNumber(a)
		cb, errB := canonicalNumber(b)
		if errA != nil || errB != nil || (ca == cb) != (ra.Cmp(rb) == 0) {
			t.Fatalf("%q and %q give %q (%v) and %q (%v)", a, b, ca, errA, cb, errB)
		}
		if back, ok := new(big.Rat).SetString(ca); !ok || back.Cmp(ra) != 0 {
			t.Fatalf("%q became %q", a, ca)
		}
	})
}

// smallNumber parses a JSON number whose exponent has at most three digits.
func smallNumber(text string) (*big.Rat, bool) {
	if !json.Valid([]byte(text)) || strings.Trim(text, "0123456789+-.eE") != "" {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}
