package keyfuncs

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// serve routes r through a ServeMux with one pattern and returns what f made
// of the routed request.
func serve(t *testing.T, pattern string, f Func, r *http.Request) (key string, err error) {
	t.Helper()
	mux := http.NewServeMux()
	routed := false
	mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
		routed = true
		key, err = f(r)
	})
	mux.ServeHTTP(httptest.NewRecorder(), r)
	require.True(t, routed, "no route for %s", r.URL)
	return key, err
}

func TestParamOfServeMux(t *testing.T) {
	tests := []struct{ pattern, target, template, key string }{
		{"GET /orders/{id}", "/orders/42", "order_<id>", "order_42"},
		{"/orders/{id}", "/orders/a%2Fb", "order_<id>", "order_a/b"},
		{"/orders/{id}", "/orders/a%252Fb", "order_<id>", "order_a%252Fb"},
		{"/orders/{id}/{item}", "/orders/a%2Fb/c", "<id>/<item>", "a%2Fb/c"},
		{"/files/{path...}", "/files/a/b", "file_<param:path>", "file_a/b"},
		{"example.com/{id}/x", "/7/x", "<id>", "7"},
	}
	for _, tt := range tests {
		t.Run(tt.pattern+" "+tt.target, func(t *testing.T) {
			key, err := serve(t, tt.pattern, MustTemplate(tt.template), get(tt.target))
			require.NoError(t, err)
			require.Equal(t, tt.key, key)
		})
	}
}

func TestParamEmptyIsMissing(t *testing.T) {
	_, err := serve(t, "/files/{path...}", Param("path"), get("/files/"))
	require.Equal(t, &MissingError{Source: "param", Name: "path"}, err)

	// An optional wildcard stands for nothing when it is empty.
	key, err := serve(t, "/files/{path...}", MustTemplate("f_<param:path|optional>"), get("/files/"))
	require.NoError(t, err)
	require.Equal(t, "f_", key)
}

func TestParamTellsMistakeFromMissing(t *testing.T) {
	missing, mistake := 400, 500
	tests := []struct {
		pattern string
		status  int
	}{
		{"", missing}, // not routed, or outside the router
		{"GET ", missing},
		{"/orders/{id}", missing},
		{"GET /orders/:id", missing},
		{"/orders/*id", missing},
		{"/orders/{id:[0-9]{2,}}", missing},
		{"GET example.com/orders/{id...}", missing},
		{"/orders/{order_id}", mistake},
		{"/orders/:order_id", mistake},
		{"/orders/*", mistake},
		{"/id/:x", mistake},
		{"/", mistake},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			r := get("/orders/")
			r.Pattern = tt.pattern
			f := MustTemplate("order_<id>")
			if tt.status == missing {
				requireStatus[*MissingError](t, missing, f, r)
				return
			}
			err := requireStatus[*RouteError](t, mistake, f, r)
			require.Equal(t, &RouteError{Route: tt.pattern, Template: "order_<id>", Name: "id"}, err)
			require.Contains(t, err.Error(), tt.pattern)
			require.Contains(t, err.Error(), "order_<id>")
		})
	}
}

func TestOptionalDoesNotHideAMistake(t *testing.T) {
	// Otherwise a mistyped name would put all requests on one key.
	r := get("/orders/42")
	r.Pattern = "/orders/{id}"
	for _, template := range []string{"o_<idd|optional>", "o_<idd|default=1>"} {
		requireStatus[*RouteError](t, 500, MustTemplate(template), r)
	}
}

func TestParamNamesItselfInRouteError(t *testing.T) {
	r := get("/")
	r.Pattern = "/{$}"
	require.Equal(t, "<id>", requireStatus[*RouteError](t, 500, Param("id"), r).Template)
}

func TestParamRefusesEmptyName(t *testing.T) {
	require.PanicsWithValue(t, "keyfuncs: param: a route parameter needs a name", func() { Param("") })
}
