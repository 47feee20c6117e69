package keyfuncs

import (
	"errors"
	"net/http"
)

// Param is the route parameter name, as [http.Request.PathValue] gives it: {id}
// and {path...} of a ServeMux, and whatever an adapter stamped with
// [http.Request.SetPathValue] for a router of another kind. Values are taken
// as decoded; a wildcard without a name is called "*".
//
// A parameter the matched route has but the client left empty is a
// [MissingError]; one that the route, as named by the request's Pattern, does
// not have is a [RouteError].
func Param(name string) Func {
	return must(paramSource(name, sourceConfig{template: "<" + name + ">"})).single()
}

func paramSource(name string, c sourceConfig) (source, error) {
	s := source{kind: "param", name: name}
	if name == "" {
		return s, errors.New("a route parameter needs a name")
	}
	s.read = func(r *http.Request) (string, bool, error) {
		if value := r.PathValue(name); value != "" {
			return value, true, nil
		}
		if !patternLacks(r.Pattern, name) {
			return "", false, nil
		}
		return "", false, &RouteError{Route: r.Pattern, Template: c.template, Name: name}
	}
	return s, nil
}
