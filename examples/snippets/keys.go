package snippets

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

// keys are of one thing each.
func keys() []keyfuncs.Func {
	return []keyfuncs.Func{
		keyfuncs.MustTemplate("order_<id>"),                          // order_42
		keyfuncs.MustTemplate("quote_<symbol|lower>_<query:page>"),   // quote_sap_2
		keyfuncs.MustTemplate("<context:tenant>:invoice_<json:/id>"), // acme:invoice_7
	}
}

// search is the key of what is found, in whatever order the client asks.
var search = keyfuncs.Join(keyfuncs.Static("search"), keyfuncs.QuerySorted("q", "page")) // search:?page=2&q=go

// authenticated passes on who the tenant is.
func authenticated(tenantOf func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(keyfuncs.WithValue(r.Context(), "tenant", tenantOf(r)))
		next.ServeHTTP(w, r)
	})
}

// checkRoutes finds the routes that a key cannot be made on.
func checkRoutes(engine *gin.Engine, template string) (errs []error) {
	for _, route := range engine.Routes() { // gin; echo: e.Routes(), chi: chi.Walk
		if err := keyfuncs.Check(template, route.Path); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// changed removes what is stored about an order.
func changed(orders *guard.Guard, order keyfuncs.Func, id string) error {
	r := new(http.Request)
	r.SetPathValue("id", id)
	key, err := order(r)
	if err != nil {
		return err
	}
	return orders.Purge(r.Context(), key)
}
