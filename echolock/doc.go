// Package echolock puts a [guard.Guard] before handlers of echo v4.
//
// It is not the same as echo.WrapMiddleware around nethttplock's Middleware, to which
// a handler that returns an error seems to have answered with an empty 200.
package echolock
