package keyfuncs

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplateKeys(t *testing.T) {
	r := withParam(get("/orders/42?page=2&Sort=Desc&empty="), "GET /orders/{id}", "id", "42")
	r.Header.Set("X-Tenant", "ACME")
	r.AddCookie(&http.Cookie{Name: "sid", Value: "s3cret"})
	r = r.WithContext(WithValue(r.Context(), "user", "ann@example.com"))

	tests := []struct{ template, key string }{
		{"order_<id>", "order_42"},
		{"order_{id}", "order_42"},
		{"order_<param:id>", "order_42"},
		{"<id>", "42"},
		{"nightly", "nightly"},
		{"order_<id>_<query:page>", "order_42_2"},
		{"<header:x-tenant|lower>:<id>", "acme:42"},
		{"<header:X-Tenant>/<cookie:sid|hash>", "ACME/" + hashValue("s3cret")},
		{"<context:user>", "ann@example.com"},
		{"<method>_<host>_<path>", "GET_example.com_/orders/42"},
		{"<route>", "GET%20/orders/%7Bid%7D"},
		{"<ip>", "192.0.2.1"},
		{"list_<query:sort|default=asc>", "list_asc"},
		{"list_<query:empty|default=asc>", "list_asc"},
		{"list_<query:sort|optional>", "list_"},
		{"list_<query:empty|optional>", "list_%--"},
		{"list_<query:Sort|lower|default=NONE>", "list_desc"},
		{"list_<query:sort|default=NONE|lower>", "list_none"},
		{"list_<query:sort|optional|hash>", "list_"},
		{"a<<b>>{{c}}_<id>", "a<b>%7Bc%7D_42"},
		{"<<<id>>>", "<42>"},
		{"100% <id>", "100%25%2042"},
		{"größe_<id>", "gr%C3%B6%C3%9Fe_42"},
		{"<id>x<query:page>", "42x2"},
	}
	for _, tt := range tests {
		t.Run(tt.template, func(t *testing.T) {
			f, err := Template(tt.template)
			require.NoError(t, err)
			requireKey(t, tt.key, f, r)
		})
	}
}

func TestTemplateIsAssignableToPlainFunc(t *testing.T) {
	var plain func(*http.Request) (string, error) = MustTemplate("order_<id>")
	key, err := plain(withParam(get("/"), "", "id", "7"))
	require.NoError(t, err)
	require.Equal(t, "order_7", key)
}

func TestTemplateSyntaxErrors(t *testing.T) {
	tests := []struct {
		template string
		offset   int
		message  string
	}{
		{"", 0, "template is empty"},
		{"order_<id", 6, "without its '>'"},
		{"order_{id", 6, "without its '}'"},
		{"order_<id}", 6, "without its '>'"},
		{"a_<b_<c>", 2, "without its '>'"},
		{"order_id>", 8, "closes nothing"},
		{"order_id}", 8, "closes nothing"},
		{"<>", 1, "empty placeholder"},
		{"a_<|lower>", 3, "empty placeholder"},
		{"a_<:x>", 3, `unknown source ""`},
		{"a_<qurey:page>", 3, `unknown source "qurey"; the sources are context, cookie, form, header, host, ip, json, method, param, path, query, route`},
		{"a_<query>", 3, "<param:query>"},
		{"a_<query:>", 3, "source query needs a name"},
		{"a_<method:x>", 9, "takes no name"},
		{"a_<id|loud>", 6, `unknown modifier "loud"`},
		{"a_<id|>", 6, `unknown modifier ""`},
		{"a_<id|lower|lower>", 12, "stands twice"},
		{"a_<id|lower=x>", 11, "takes no value"},
		{"a_<id|default=>", 6, "default needs a value"},
		{"a_<id|default>", 6, "default needs a value"},
		{"a_<id|optional|default=x>", 15, "exclude each other"},
		{"<a><b>", 3, "need a separator"},
		{"<a> <b>", 4, "separator before this placeholder must begin"},
		{"<a>%<b>", 4, "separator before this placeholder must begin"},
		{"<a>{{<b>", 5, "separator before this placeholder must begin"},
		{"<query:a|optional>", 0, "key is empty when"},
		{"<path...>", 5, "without its dots: <path>"},
		{"<a b>", 2, "write <param:a b>"},
		{"<header:a b>", 8, "header name"},
		{"<header:host>", 8, "source host"},
		{"<cookie:a;b>", 8, "cookie name"},
		{"<json:id>", 6, "begins with a slash"},
		{"<json:/a~2>", 6, "~0"},
		{"a\nb", 1, "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.template, func(t *testing.T) {
			f, err := Template(tt.template)
			require.Nil(t, f)
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, tt.template, syntax.Template)
			require.Equal(t, tt.offset, syntax.Offset, err)
			require.Contains(t, syntax.Message, tt.message)
			require.PanicsWithError(t, err.Error(), func() { MustTemplate(tt.template) })
		})
	}
}

func TestSyntaxErrorPointsAtTheMistake(t *testing.T) {
	_, err := Template("größe_<id|loud>")
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, "\tgröße_<id|loud>", lines[1])
	// Columns count runes: the caret stands below the l of loud.
	require.Equal(t, "\t"+strings.Repeat(" ", 10)+"^", lines[2])
}

func TestSyntaxErrorShowsNoControlCharacters(t *testing.T) {
	_, err := Template("a\x1b[2Jb")
	require.NotContains(t, err.Error(), "\x1b")
}

func TestTemplateRefusesBadOptions(t *testing.T) {
	_, err := Template("<ip>", WithMaxBody(0))
	require.ErrorContains(t, err, "WithMaxBody(0)")
	_, err = Template("<ip>", WithTrustedProxies(netip.Prefix{}))
	require.ErrorContains(t, err, "zero netip.Prefix")
	require.Panics(t, func() { MustTemplate("<ip>", WithMaxBody(-1)) })
}

func TestTemplateMissingValues(t *testing.T) {
	for _, template := range []string{
		"x_<query:q>", "x_<header:H>", "x_<cookie:c>", "x_<json:/j>",
		"x_<form:f>", "x_<context:u>", "x_<param:p>", "x_<route>",
	} {
		t.Run(template, func(t *testing.T) {
			missing := requireStatus[*MissingError](t, 400, MustTemplate(template), get("/"))
			require.Contains(t, template, missing.Source)
			require.Contains(t, missing.Error(), missing.Source)
			require.Contains(t, template, missing.Name)
		})
	}
}

func TestTemplateEmptyValueIsMissing(t *testing.T) {
	r := get("/?q=")
	r.Header.Set("H", "")
	r.AddCookie(&http.Cookie{Name: "c"})
	for _, template := range []string{"x_<query:q>", "x_<header:H>", "x_<cookie:c>"} {
		requireStatus[*MissingError](t, 400, MustTemplate(template), r)
	}
}
