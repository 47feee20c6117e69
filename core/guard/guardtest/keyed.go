package guardtest

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

var keyed = []behaviour{
	{name: "a parameter has one value however it is spelled", test: oneSpelling},
	{name: "encoded twice is another value", test: encodedTwice},
	{name: "an empty parameter is 400", test: emptyParam},
	{name: "a catch-all has no leading slash", test: catchAll},
	{name: "routes and methods have keys of their own", test: routesApart},
	{name: "ScopeNamespace shares keys among routes and methods", test: routesShared},
	{name: "namespaces have keys of their own", test: namespacesApart},
	{name: "bytes that mean something elsewhere mean nothing in a key", test: hostileBytes},
}

// keysOf serves the key of each request as its answer.
func (e *env) keysOf(cfg guard.Config, routes ...Route) *site {
	handler := func(w http.ResponseWriter, r *http.Request) {
		lock, _ := core.FromContext(r.Context())
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, lock.Key())
	}
	g := e.guard(cfg)
	if len(routes) == 0 {
		routes = []Route{{Method: http.MethodGet, Pattern: "/x/{id}"}}
	}
	for i := range routes {
		routes[i].Guard, routes[i].Handler = g, handler
	}
	return e.serve(routes...)
}

func oneSpelling(e *env) {
	s := e.keysOf(guard.Config{}, Route{Method: http.MethodGet, Pattern: "/two/{id}/y"})
	plain := s.ok(s.get("/two/x/y")).body
	require.Equal(s, plain, s.ok(s.get("/two/%78/y")).body)
	require.Contains(s, plain, "id_x")
}

func encodedTwice(e *env) {
	s := e.keysOf(guard.Config{})
	twice := s.ok(s.get("/x/a%252Fb")).body
	require.Contains(s, twice, "id_a%2Fb")
	// A router that takes %2F for a separator has no route for it.
	if once := s.get("/x/a%2Fb"); once.StatusCode != http.StatusNotFound {
		require.Contains(s, s.ok(once).body, "id_a/b")
	}
}

func emptyParam(e *env) {
	if !e.adapter.Literal {
		return // the router never lets such a request through
	}
	s := e.keysOf(guard.Config{}, Route{Method: http.MethodGet, Pattern: "/two/{id}/y"})
	s.status(http.StatusBadRequest, s.get("/two//y"))
}

func catchAll(e *env) {
	g := guard.Config{Key: func(r *http.Request) (string, error) { return "f_" + r.PathValue("path") + r.PathValue("*"), nil }}
	s := e.keysOf(g, Route{Method: http.MethodGet, Pattern: "/files/{path...}"})
	require.Contains(s, s.ok(s.get("/files/a/b")).body, "f_a/b")
}

func routesApart(e *env) {
	s := e.keysOf(guard.Config{},
		Route{Method: http.MethodGet, Pattern: "/a/{id}"},
		Route{Method: http.MethodPost, Pattern: "/a/{id}"},
		Route{Method: http.MethodGet, Pattern: "/b/{id}"})
	get, other := s.ok(s.get("/a/1")).body, s.ok(s.get("/b/1")).body
	post := s.ok(s.do(context.Background(), http.MethodPost, "/a/1", nil)).body
	require.NotEqual(s, get, post)
	require.NotEqual(s, get, other)
}

func routesShared(e *env) {
	s := e.keysOf(guard.Config{Scope: guard.ScopeNamespace},
		Route{Method: http.MethodPut, Pattern: "/a/{id}"},
		Route{Method: http.MethodDelete, Pattern: "/b/{id}"})
	put := s.ok(s.do(context.Background(), http.MethodPut, "/a/1", nil)).body
	require.Equal(s, put, s.ok(s.do(context.Background(), http.MethodDelete, "/b/1", nil)).body)
}

func namespacesApart(e *env) {
	one, two := e.keysOf(guard.Config{Namespace: "a"}), e.keysOf(guard.Config{Namespace: "b"})
	require.NotEqual(e, one.ok(one.get("/x/1")).body, two.ok(two.get("/x/1")).body)
}

func hostileBytes(e *env) {
	s := e.keysOf(guard.Config{Wait: time.Second})
	seen := map[string]string{}
	for _, id := range []string{"a", "A", "%00", "%0D%0A", "%FF", "%C3%A9", "e%CC%81", "*", "%3F", "%5B", "%7Bb%7D", "$%7Bb%7D", "%25s", "a:b", "a|b",
		"a%20b", "a+b", "a%2Bb", ";", "a;b", "1%7C1:x", repeat("z", 4096), repeat("z", 4095) + "y"} {
		key := s.ok(s.get("/x/" + id)).body
		require.NotContains(s, seen, key, "%s and %s share a key", id, seen[key])
		seen[key] = id
		if id == "a+b" {
			delete(seen, key) // %2B is the same value spelled another way
		}
	}
}
