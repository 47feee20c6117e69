// Package nethttplock puts a [guard.Guard] before handlers of net/http and of
// every router made of them, such as chi.
//
// A Guard whose key names route parameters has to stand behind the router that
// finds them: around a handler, not around the mux.
package nethttplock
