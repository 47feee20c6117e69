// Package tentative is how packages under core ask for a lock that they can do
// without: whoever finds it taken goes on to wait for what its holder makes, or has a
// stale value. That is no refusal, and must not look like one in Stats and metrics.
package tentative

// Option is a core.Option, which package core sets: an acquisition with it that finds
// the lock taken is neither counted nor observed.
var Option any
