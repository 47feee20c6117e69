package keyfuncs

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// doubled writes text so that a template takes it literally.
var doubled = strings.NewReplacer("<", "<<", ">", ">>", "{", "{{", "}", "}}")

// isPlainKey reports whether key is printable ASCII without space and braces.
func isPlainKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f || c == '{' || c == '}' {
			return false
		}
	}
	return true
}

// pairRequest carries a and b, of which bits 0 and 1 of absent leave one out.
func pairRequest(a, b string, absent uint8) (*http.Request, []slotValue) {
	var stored []string
	want := make([]slotValue, 2)
	for i, v := range []string{a, b} {
		if absent>>i&1 == 0 {
			want[i] = slotValue{true, v}
			stored = append(stored, "ab"[i:i+1], v)
		}
	}
	return withValues(stored...), want
}

// FuzzTemplateInjective holds the two promises about keys: a key reads back to
// the values it was made of, and so different values give different keys;
// whatever the values are and whatever text stands around them.
func FuzzTemplateInjective(f *testing.F) {
	f.Add("o_", "_", "", "1_2", "3", uint8(0), "1", "2_3", uint8(0))
	f.Add("", ":", "", "x:y", "z", uint8(0), "x", "y:z", uint8(0))
	f.Add("", "A2", "A2", "%A2", "\x00\r\n", uint8(0), "\xff", "", uint8(2))
	f.Add("{", "<%>", "}", "{b}", "${b}", uint8(0), "%s", "%2F", uint8(1))
	f.Add("", "-", "%--", "", "%--", uint8(0), "", "", uint8(3))
	f.Fuzz(func(t *testing.T, lead, sep, tail, a1, b1 string, absent1 uint8, a2, b2 string, absent2 uint8) {
		text := doubled.Replace(lead) + "<context:a|optional>" + doubled.Replace(sep) + "{context:b|optional}" + doubled.Replace(tail)
		tmpl, err := compile(text)
		if err != nil {
			requireUnusable(t, lead+sep+tail, sep, err)
			return
		}
		r1, want1 := pairRequest(a1, b1, absent1)
		r2, want2 := pairRequest(a2, b2, absent2)
		key1, key2 := keyOf(t, tmpl.key, r1), keyOf(t, tmpl.key, r2)

		checkReadsBack(t, tmpl, key1, want1)
		checkReadsBack(t, tmpl, key2, want2)
		same := want1[0] == want2[0] && want1[1] == want2[1]
		if same != (key1 == key2) {
			t.Fatalf("%q: %v and %v give %q and %q", text, want1, want2, key1, key2)
		}
	})
}

func checkReadsBack(t *testing.T, tmpl *template, key string, want []slotValue) {
	t.Helper()
	if !isPlainKey(key) {
		t.Fatalf("key %q is not printable", key)
	}
	got, ok := readBack(tmpl, key)
	if !ok || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("key %q reads back to %v (%v), not %v", key, got, ok, want)
	}
}

// requireUnusable fails unless a template around this text deserved err.
func requireUnusable(t *testing.T, all, sep string, err error) {
	t.Helper()
	control := strings.ContainsFunc(all, func(r rune) bool { return r < ' ' || r == 0x7f })
	if !control && sep != "" && plainText.has(sep[0]) {
		t.Fatalf("separator %q refused: %v", sep, err)
	}
}

// FuzzTemplateCompile holds that any text either compiles, and then gives
// plain keys, or is refused with an error that points into it.
func FuzzTemplateCompile(f *testing.F) {
	for _, seed := range []string{
		"order_<id>", "{id}", "<<", "<query:page|default=1|lower>", "<json:/a~1b>_<ip>",
		"<a><b>", "<", "a|b", "<header:X>{{<form:f|hash>", "\x00", "é<é>", "<*>", "<path...>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := Template(text)
		if err != nil {
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok || syntax.Offset < 0 || syntax.Offset > len(text) || syntax.Message == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			if lines := strings.Split(err.Error(), "\n"); text != "" && len(lines) != 3 {
				t.Fatalf("not three lines: %q", err)
			}
			return
		}
		got, err := key(withParam(get("/?page=1"), "/{id}", "id", "42"))
		if err == nil && (got == "" || !isPlainKey(got)) {
			t.Fatalf("%q gives %q", text, got)
		}
	})
}

// FuzzTemplatesApart holds that a value cannot make the key of one template
// into that of another which goes on with the same punctuation.
func FuzzTemplatesApart(f *testing.F) {
	short, long := MustTemplate("order_<context:a>"), MustTemplate("order_<context:a>_items")
	f.Add("42_items", "42")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		if key := keyOf(t, short, withValues("a", a)); key == keyOf(t, long, withValues("a", b)) {
			t.Fatalf("both templates give %q", key)
		}
	})
}

// FuzzCombinators holds that different keys stay different through Join, First,
// When and Hash, whatever the Funcs below return.
func FuzzCombinators(f *testing.F) {
	f.Add("x:y", "z", "x", "y:z")
	f.Add("~1:a", "", "", "a")
	f.Add("a%3A", "", "a:", "")
	f.Fuzz(func(t *testing.T, a1, b1, a2, b2 string) {
		raw := func(key string) Func { return func(*http.Request) (string, error) { return key, nil } }
		r := get("/")
		for name, combine := range map[string]func(...Func) Func{"Join": Join, "Hash": Hash} {
			key1, key2 := keyOf(t, combine(raw(a1), raw(b1)), r), keyOf(t, combine(raw(a2), raw(b2)), r)
			if (key1 == key2) != (a1 == a2 && b1 == b2) {
				t.Fatalf("%s: (%q %q) and (%q %q) give %q and %q", name, a1, b1, a2, b2, key1, key2)
			}
		}
		none := func(*http.Request) (string, error) { return "", &MissingError{Source: "test"} }
		first, second := keyOf(t, First(raw(a1), none), r), keyOf(t, First(none, raw(b1)), r)
		yes := keyOf(t, When(func(*http.Request) bool { return true }, raw(a1), none), r)
		no := keyOf(t, When(func(*http.Request) bool { return false }, none, raw(b1)), r)
		if first == second || yes == no {
			t.Fatalf("alternatives %q and %q give %q, %q, %q, %q", a1, b1, first, second, yes, no)
		}
		if again := keyOf(t, First(raw(a2), none), r); (again == first) != (a1 == a2) {
			t.Fatalf("First: %q and %q give %q and %q", a1, a2, first, again)
		}
	})
}
