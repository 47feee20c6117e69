// Package guardtest is the table of behaviours that every adapter of
// [guard.Guard] passes, over sockets, on HTTP/1.1 and HTTP/2. Whoever writes an
// adapter for another framework runs it with [Run].
package guardtest

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
)

// Adapter says how applications of one framework are built.
type Adapter struct {
	// App returns an application with these routes.
	App func(routes []Route) http.Handler
	// Literal says that the framework routes .. and // as they stand. One that
	// cleans paths first, as [http.ServeMux] does, redirects such requests.
	Literal bool
}

// Route is one guarded handler.
type Route struct {
	Method  string // such as GET
	Pattern string // in the notation of http.ServeMux: /orders/{id}, /files/{path...}
	Guard   *guard.Guard
	// Chain asks for the adapter's Middleware; otherwise its Wrap is meant.
	Chain bool
	// Handler is to run on the framework's own writer and request.
	Handler http.HandlerFunc
}

var braces = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// Colon is Pattern in the notation of most other routers: /orders/:id and
// /files/*path.
func (r Route) Colon() string {
	return braces.ReplaceAllStringFunc(r.Pattern, func(s string) string {
		m := braces.FindStringSubmatch(s)
		if m[2] != "" {
			return "*" + m[1]
		}
		return ":" + m[1]
	})
}

// behaviour is one row of the table.
type behaviour struct {
	name string
	test func(*env)
	only string // "h1" or "h2" where the protocol has to be that one
	at   string // wrap where the row is long and the position makes no difference
}

func behaviours() []behaviour {
	return slices.Concat(serializing, refusing, bounds, transparent, streaming, loaded, keyed, forging, poisoning, caching, partial, storing, telling, purging, unstorable, withCookies, staleness, crossing, idempotency)
}

// Run runs the table against a, with locks on the Redis nodes at the given
// URLs.
func Run(t *testing.T, a Adapter, nodes []string) {
	locks, err := core.New(core.Config{Nodes: nodes, NodeTimeout: patience})
	require.NoError(t, err)
	defer func() { require.NoError(t, locks.Close()) }()
	for _, proto := range []string{"h1", "h2"} {
		for _, chain := range []bool{false, true} {
			t.Run(proto+"/"+position(chain), func(t *testing.T) {
				for _, b := range behaviours() {
					if b.only != "" && b.only != proto || b.at != "" && b.at != position(chain) {
						continue
					}
					t.Run(b.name, func(t *testing.T) {
						b.test(&env{T: t, adapter: a, locks: locks, http2: proto == "h2", chain: chain})
					})
				}
			})
		}
	}
}

const wrap = "Wrap"

func position(chain bool) string {
	if chain {
		return "Middleware"
	}
	return wrap
}
