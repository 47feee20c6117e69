// Package nethttplock puts a [guard.Guard] before handlers of net/http and of
// every router made of them, such as chi.
//
// A Guard whose key names route parameters has to stand behind the router that
// finds them: around a handler, not around the mux.
//
// Of a route below Mount or Route chi tells no more than what is written there: to
// a Guard, /{id} of the orders and /{id} of the invoices are one route. Let the key
// say what it is about, as order_<id> does, or give each a Guard with a Namespace.
package nethttplock
