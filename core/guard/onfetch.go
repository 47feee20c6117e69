package guard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
)

// errUnwound ends a run of the handler that did not return.
var errUnwound = errors.New("guard: the handler panicked, or ended its goroutine")

// toldOf is next with Config.OnFetch around it, where there is one.
func (g *Guard) toldOf(next handler, rec *recorder) handler {
	if g.OnFetch == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, over := g.OnFetch(r.Context(), g.causeOf(r.Context()))
		status, err := 0, errUnwound
		defer func() { over(status, err) }()
		if err = next(w, r.WithContext(ctx)); err == nil {
			status = cmp.Or(rec.status, http.StatusOK)
		}
		return err
	}
}

// causeOf is the context of the request that a refresh of this Guard is for. A
// Guard within another one's refresh runs its handler in the foreground.
func (g *Guard) causeOf(ctx context.Context) context.Context {
	if run, ok := ctx.Value(refreshKey{}).(*refresh); ok && run.guard == g {
		return run.cause
	}
	return nil
}
