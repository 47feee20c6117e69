// Package guard takes one HTTP request through key, cache, lock and handler. It
// knows no framework: packages nethttplock, ginlock and echolock put a [Guard]
// before the handlers of theirs, and [Guard.Serve] is all that another adapter
// needs.
//
// # Three modes
//
//	Fresh 0, Stale 0    serializes: requests of one key run one at a time in the fleet
//	Fresh 0, Stale > 0  serializes, and hands the last response to whoever finds the lock taken
//	Fresh > 0           a shared HTTP cache whose misses run once in the fleet
//
// A Guard that serializes hands the server's own writer to the handler, so
// whatever the writer can do, from Flush to a WebSocket upgrade, the handler
// can. The handler's context carries the lock, with its fencing token
// ([core.FromContext]), and ends with cause [core.ErrLost] before somebody else
// can have it. A request's body is read ahead of the lock, up to
// [Config.ReadAhead]; a slow reader of the response does hold the lock, as long
// as [Config.MaxHold] lets it: set the server's WriteTimeout.
//
// Middleware that answers without waiting for its handler, such as
// http.TimeoutHandler, belongs in front of a Guard. Behind one it gives the lock back
// while the handler still runs.
//
// # What is promised
//
// Requests of different keys never wait for each other. Of those that find nothing
// stored, one in the fleet runs the handler and the others share its response.
// Whoever finds the lock taken gets the stale response at once where there is one,
// or waits, [Config.Wait] at most, and is refused then. A client that goes away
// ends its own request and no other. A panic, [http.ErrAbortHandler] and
// [runtime.Goexit] free the lock and everybody who waits for it, and go on to
// whoever expects them. A handler that asks for what it runs under is told of the
// deadlock within the process, and refused at the end of its wait over the network.
//
// Nothing is stored that is not whole, that was made under a lost lock or before a
// purge, or that is not for everybody. What could not be stored is remembered, so
// that nobody queues for it. A stale response is refreshed once in the fleet, behind
// the client it was served to, and Close waits for that. When a refresh fails the
// old response stays, and the handler is left alone for a while. What was purged
// serves nobody any more, in no process and in place of no error. An outage of Redis
// refuses requests or lets them run, as configured, and hangs none.
//
// What is flushed, hijacked, larger than [Config.MaxBody] or ends in trailers
// reaches its client whole and nobody else. Set-Cookie, private and no-store
// responses, and those to requests with Authorization or a Cookie, reach one client
// alone. Fields with several values keep them, and what outer middleware has set is
// not stored. Content is never sent in a coding its client cannot read. HEAD and GET
// share what is stored, and no other method sees it. Freshness, variants,
// validation, ranges and invalidation are those of RFC 9111 for a shared cache. A
// handler that is serialized can do all that the server's writer can. Frameworks
// find their writer, their errors and their hooks as without a Guard.
//
// Keys that differ in any byte, or belong to other routes, methods or namespaces,
// are different. A request without a key is refused before its handler runs. No
// part of a target gives one client the answer to another, whether the key names
// it or not. No field tells the key, and no line of the log holds one unescaped.
// Queues, memory and what one response can occupy are bounded. An Idempotency-Key
// runs the handler once for each principal, also where the process ends.
//
// # The cache
//
// A Guard with Fresh is a shared cache in front of the handler as of RFC 9111,
// with the stale-* extensions of RFC 5861 and the Cache-Status of RFC 9211.
// Where a response says nothing about its freshness, Fresh and Stale apply; where
// it does, it wins. A response is kept in memory until it is whole, up to
// [Config.MaxBody]; one that is larger, flushed, hijacked or ends in trailers is
// passed on as it comes, and neither stored nor shared. From its first byte on it
// holds no lock: whoever waited for it runs the handler beside it, and the context
// of its own handler ends with the client alone.
//
// A HEAD that the handler answers, and whose validators or length are not those of
// the stored response it would have selected, removes that one; one that agrees
// freshens it, as a 304 does (RFC 9111 §4.3.5).
//
// Requests with Authorization or a Cookie, and responses with Set-Cookie, have
// no part in it unless an option whose name begins with Dangerously says so. With
// Authorization that is stricter than RFC 9111 §3.5: public, s-maxage and
// must-revalidate are too often set by a framework for all responses alike to be
// taken for leave to hand one client's answer to another. A client certificate is in no
// field of the request: a handler that goes by it has to say private. A cookie counts
// that middleware in front has set when the handler returns, as for a session or against
// forged requests; one that comes later, with the first byte, nobody can know of.
//
// Middleware for CORS belongs in front. Behind a Guard some of it says Vary: Origin only
// where a request has one, and a response without is stored for all.
//
// A stale response is refreshed by a request of the Guard's own: a copy of the
// one that found it stale, sent through the http.Server's handler once more, so
// that every router and middleware on the way sets up what the handler expects.
// What the server's BaseContext and ConnContext add is not in its context.
// [IsRefresh] tells it from a client's. It lasts as long as the handler, also where
// a middleware such as [http.TimeoutHandler] answers before. Without a server, as in
// tests with httptest.ResponseRecorder, the request that finds a response stale
// refreshes it itself.
//
// A handler that writes nothing and returns an error of its framework's, or gives up
// at the end of its context, has not answered. Whatever middleware or the framework
// makes of that goes to the one client; nothing is stored, and a refresh leaves what
// is stored as it was. A response whose handler fails when some of it is written, by
// an error or by a panic that was recovered to a server error, is not stored either.
//
// A stale response stands in for a server error, where stale-if-error or Stale
// allow it, but not for a panic: that goes on to whatever recovers it, as without
// a Guard, and whoever waited for the response gets 500. What is stored stays. A
// panic of a refresh in the background is logged, and hurts no client.
//
// # Idempotency keys
//
// With [Config.Idempotent] a Guard honors the Idempotency-Key of POST and PATCH:
// the handler runs once for each, and a repetition of the request gets the first
// one's response again. It goes with Key, and it goes alone.
//
// # Keys and identity
//
// The lock is named by [Config.Key], apart for every route, method and
// [Config.Namespace] unless [Config.Scope] says otherwise. A stored response is
// named by that and by its target (host, path and query), so nothing a client
// may vary without being asked decides what others get; with [Config.Fresh] so is
// the lock that it is made under. A handler that answers
// differently to some header field has to say so in Vary, as to any cache;
// [Config.IdentityHeaders] helps where it does not.
//
// # Refusals
//
// A request whose key cannot be built gets 400, one that waited in vain, or found
// too many waiting already, 503 with Retry-After or what [Config.ContentionStatus]
// and [Config.OnContention] say. When too few Redis nodes answer, a Guard that
// serializes refuses and one that caches runs the handler, unless
// [Config.OnUnavailable] says otherwise: at once, or when [Config.MaxOutage] is over.
package guard
