// Package echolock puts a [guard.Guard] before handlers of echo v4.
//
// It is not the same as echo.WrapMiddleware around nethttplock's Middleware, to which
// a handler that returns an error seems to have answered with an empty 200.
//
// Put middleware.Recover in front of the Guard, as echo.Use does. Behind it, it keeps
// from the Guard that a handler has panicked when some of its response was written, and
// what was written is stored as if it were all.
package echolock
