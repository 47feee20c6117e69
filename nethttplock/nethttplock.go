package nethttplock

import (
	"net/http"

	"github.com/market-intel-brain/dlm/core/guard"
)

// Middleware returns g as a middleware. Around a whole [http.ServeMux] the
// route is not known yet, so that keys cannot name route parameters there.
func Middleware(g *guard.Guard) func(http.Handler) http.Handler {
	mustGuard(g)
	return func(next http.Handler) http.Handler { return Wrap(g, next) }
}

// Wrap returns h behind g.
func Wrap(g *guard.Guard, h http.Handler) http.Handler {
	mustGuard(g)
	if h == nil {
		panic("nethttplock: nil http.Handler")
	}
	next := func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.Serve(w, canonical(r), next); err != nil {
			guard.WriteRefusal(w, err)
		}
	})
}

// KeyFunc returns key. It is here so that a program reads the same with every
// adapter: net/http has no other request than the one a key is made from.
func KeyFunc(key func(*http.Request) (string, error)) func(*http.Request) (string, error) {
	return key
}

func mustGuard(g *guard.Guard) {
	if g == nil {
		panic("nethttplock: nil *guard.Guard")
	}
}
