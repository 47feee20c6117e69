// Package guard takes one HTTP request through key, lock and handler.
package guard
