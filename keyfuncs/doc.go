// Package keyfuncs derives keys from HTTP requests: keys that are readable,
// and that no value in a request can forge.
package keyfuncs
