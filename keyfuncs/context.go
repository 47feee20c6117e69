package keyfuncs

import (
	"context"
	"errors"
	"net/http"
)

// contextName is the key type of values stored by [WithValue], so that they
// meet nobody else's.
type contextName string

// WithValue returns a copy of ctx that carries value for the source
// <context:name>. Middleware in front of the key stores there what it has
// established about the request: the authenticated user, the tenant.
//
//	r = r.WithContext(keyfuncs.WithValue(r.Context(), "user", user.ID))
func WithValue(ctx context.Context, name, value string) context.Context {
	return context.WithValue(ctx, contextName(name), value)
}

// Context is the value stored in the request's context under name by
// [WithValue]. Unlike a header it cannot be chosen by the client.
func Context(name string) Func {
	return must(contextSource(name, sourceConfig{})).single()
}

func contextSource(name string, _ sourceConfig) (source, error) {
	s := source{kind: "context", name: name}
	if name == "" {
		return s, errors.New("a context value needs a name")
	}
	var key any = contextName(name) // boxed once, not on every request
	s.read = func(r *http.Request) (string, bool, error) {
		value, present := r.Context().Value(key).(string)
		return value, present, nil
	}
	return s, nil
}
