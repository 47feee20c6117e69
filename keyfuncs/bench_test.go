package keyfuncs

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// stamp puts a route parameter on r as the adapter of a framework with a
// router of its own does. r must be fresh, as it is there.
func stamp(r *http.Request) *http.Request {
	r.Pattern = "GET /orders/:id"
	r.SetPathValue("id", "42")
	return r
}

func TestAllocations(t *testing.T) {
	plain := get("/orders/42?page=2")
	routed := stamp(get("/orders/42?page=2"))
	fresh := new(http.Request)
	keyOfFresh := func(f Func) func(*http.Request) {
		return func(*http.Request) {
			*fresh = *plain
			_, _ = f(stamp(fresh))
		}
	}
	keyOfRouted := func(f Func) func(*http.Request) {
		return func(r *http.Request) { _, _ = f(r) }
	}
	tests := []struct {
		name string
		most float64
		run  func(*http.Request)
	}{
		{"one parameter", 1, keyOfRouted(MustTemplate("order_<id>"))},
		{"parameter and query", 1, keyOfRouted(MustTemplate("order_<id>_<query:page>"))},
		{"single source", 0, keyOfRouted(Param("id"))},
		// The other two are the map SetPathValue makes for a request that no
		// ServeMux has routed. Adapters reuse it: see guard.NewRouted.
		{"one parameter, stamped", 3, keyOfFresh(MustTemplate("order_<id>"))},
		{"single source, stamped", 2, keyOfFresh(Param("id"))},
	}
	for _, tt := range tests {
		got := testing.AllocsPerRun(100, func() { tt.run(routed) })
		require.LessOrEqual(t, got, tt.most, tt.name)
	}
}

func benchmark(b *testing.B, f Func, r *http.Request) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTemplateParam(b *testing.B) {
	benchmark(b, MustTemplate("order_<id>"), stamp(get("/orders/42")))
}

func BenchmarkTemplateParamStamped(b *testing.B) {
	f, plain, fresh := MustTemplate("order_<id>"), get("/orders/42"), new(http.Request)
	b.ReportAllocs()
	for b.Loop() {
		*fresh = *plain
		if _, err := f(stamp(fresh)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTemplateParamServeMux(b *testing.B) {
	f := MustTemplate("order_<id>")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := f(r); err != nil {
			b.Error(err)
		}
	})
	r := get("/orders/42")
	b.ReportAllocs()
	for b.Loop() {
		mux.ServeHTTP(nil, r)
	}
}

func BenchmarkTemplateFour(b *testing.B) {
	r := stamp(get("/orders/42?sort=asc&page=2"))
	r.Header.Set("X-Tenant", "ACME")
	benchmark(b, MustTemplate("<header:X-Tenant|lower>:order_<id>_<query:page>_<query:sort|default=asc>"), r)
}

func BenchmarkTemplateHash(b *testing.B) {
	r := get("/")
	r.AddCookie(&http.Cookie{Name: "sid", Value: "0123456789abcdef"})
	benchmark(b, MustTemplate("session_<cookie:sid|hash>"), r)
}

func BenchmarkTemplateEscapes(b *testing.B) {
	benchmark(b, MustTemplate("q_<query:q>"), get("/?q=caf%C3%A9+%E2%82%AC"))
}

func BenchmarkParam(b *testing.B) { benchmark(b, Param("id"), stamp(get("/orders/42"))) }

func BenchmarkJoin(b *testing.B) {
	benchmark(b, Join(Static("orders"), Param("id"), Query("page")), stamp(get("/orders/42?page=2")))
}

func BenchmarkQuerySorted(b *testing.B) {
	benchmark(b, QuerySorted("page", "q"), get("/?q=go&utm=x&page=2"))
}

func BenchmarkJSON(b *testing.B) {
	r := postJSON(`{"customer":{"name":"Ann"},"order":{"id":42,"lines":[1,2,3]}}`)
	f := JSON("/order/id")
	benchmark(b, f, r)
}
