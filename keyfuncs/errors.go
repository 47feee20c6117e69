package keyfuncs

import (
	"fmt"
	"net/http"
)

// MissingError reports that the client left out a value the key needs, or sent
// it empty. The response it deserves is 400 Bad Request.
type MissingError struct {
	Source string // "query", "header", "param", … as written in a template
	Name   string // name within the source; empty for sources without names
}

func (e *MissingError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("keyfuncs: the request has no %s", e.Source)
	}
	return fmt.Sprintf("keyfuncs: the request has no %s %q, or an empty one", e.Source, e.Name)
}

// HTTPStatus returns 400.
func (e *MissingError) HTTPStatus() int { return http.StatusBadRequest }

// MalformedError reports that the client sent something that cannot be read as
// what it claims to be, such as a body that is not JSON. The response it
// deserves is 400 Bad Request.
type MalformedError struct {
	Source string
	Name   string
	Err    error // never contains a value sent by the client in full
}

func (e *MalformedError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("keyfuncs: cannot read %s: %v", e.Source, e.Err)
	}
	return fmt.Sprintf("keyfuncs: cannot read %s %q: %v", e.Source, e.Name, e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

// HTTPStatus returns 400.
func (e *MalformedError) HTTPStatus() int { return http.StatusBadRequest }

// BodyTooLargeError reports a body longer than the bound up to which a key may
// read it. The response it deserves is 413 Content Too Large.
type BodyTooLargeError struct {
	Limit int64 // in bytes
}

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("keyfuncs: the request body is larger than %d bytes; raise the bound with WithMaxBody", e.Limit)
}

// HTTPStatus returns 413.
func (e *BodyTooLargeError) HTTPStatus() int { return http.StatusRequestEntityTooLarge }

// RouteError reports a route parameter that the matched route does not have.
// It is a mistake in the program, not in the request: the response it deserves
// is 500 Internal Server Error, and a line in the log. [Check] finds it before
// the first request does.
type RouteError struct {
	Route    string // pattern of the matched route
	Template string // template, or single source such as <id>, that asks for the parameter
	Name     string // name of the parameter
}

func (e *RouteError) Error() string {
	return fmt.Sprintf("keyfuncs: route %q has no parameter %q, which key %q needs; correct the name, or use the key only on routes that have it",
		e.Route, e.Name, e.Template)
}

// HTTPStatus returns 500.
func (e *RouteError) HTTPStatus() int { return http.StatusInternalServerError }
