package keyfuncs

import "net/http"

// Func derives a key from a request. It is safe for concurrent use and never
// retains the request. Func is assignable to func(*http.Request) (string, error),
// so a key is tested with net/http/httptest alone.
//
// A Func from this package fails with one of the error types of this package;
// each tells by HTTPStatus which response it deserves.
type Func func(*http.Request) (string, error)

// mustFuncs panics when a combinator was given no Func, or a nil one: the key
// would otherwise fail, or worse be shared, on every request.
func mustFuncs(caller string, fs ...Func) {
	if len(fs) == 0 {
		panic("keyfuncs: " + caller + " needs at least one Func")
	}
	for _, f := range fs {
		if f == nil {
			panic("keyfuncs: " + caller + " was given a nil Func")
		}
	}
}
