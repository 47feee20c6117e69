package keyfuncs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check reports whether a template can give keys on the route with the given
// pattern, before the first request does: call it where routes are registered,
// or in a test that walks the router's list of routes. Patterns may be
// written for ServeMux, gin, echo or chi.
//
// The error joins a [RouteError] for every route parameter the pattern does
// not have, and an error for every placeholder, such as <host>, that reads
// something else than the route parameter of that name. A template that does
// not compile is a [SyntaxError].
func Check(template, pattern string) error {
	t, err := compile(template)
	if err != nil {
		return err
	}
	if !strings.Contains(pattern, "/") {
		return fmt.Errorf("keyfuncs: route pattern %q has no path; give it as the router knows it, such as \"GET /orders/{id}\"", pattern)
	}
	params := patternParams(pattern)
	var errs []error
	for _, s := range t.slots {
		errs = append(errs, checkSource(s.source, params, template, pattern))
	}
	return errors.Join(errs...)
}

func checkSource(s source, params []string, template, pattern string) error {
	switch {
	case s.kind == "param" && !slices.Contains(params, s.name):
		return &RouteError{Route: pattern, Template: template, Name: s.name}
	case s.name == "" && slices.Contains(params, s.kind):
		return fmt.Errorf("keyfuncs: in template %q, <%s> is not the parameter %q of route %q; write <param:%s> for that, or give the parameter another name",
			template, s.kind, s.kind, pattern, s.kind)
	}
	return nil
}
