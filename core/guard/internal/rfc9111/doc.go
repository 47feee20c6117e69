// Package rfc9111 holds the rules of HTTP caching for a shared cache in front
// of a handler: RFC 9111, with RFC 5861 (serving stale), RFC 9213 (targeted
// Cache-Control), RFC 9211 (Cache-Status), and what they need of RFC 9110
// (dates, validators, preconditions, ranges).
//
// Nothing here does I/O, starts a goroutine or reads a clock; times come in as
// arguments, and every function may be called concurrently. What is read from a
// stored response on every hit is computed once, by Policy.Describe, so that
// deciding about a hit allocates nothing.
//
// Header maps must have canonical names, as those of net/http requests do. A
// handler's may not, if it writes the map directly: pass them through Canonical
// first.
//
// # A request through the cache
//
//  1. Policy.Bypass says whether the store has any part in it.
//  2. Vary.AppendVariant names the variant it selects, under the Vary of what
//     is stored for its URI.
//  3. RequestDirectives.Use decides about the stored response: serve, serve and
//     refresh, forward, or 504. The zero RequestDirectives ignore the client.
//  4. Served, Stored.Evaluate answers preconditions (a 304 then has the fields
//     SetNotModified leaves), and if Stored.RangeApplies, PlanPartial a Range.
//  5. Forwarded with a stored response at hand, Stored.Revalidation makes the
//     request conditional. A 304 that Stored.Confirms goes through Freshen; one
//     it does not confirm says nothing about what is stored.
//  6. The response, or the freshened fields, go through Policy.Describe and
//     Policy.Refusal. Refused, the response is for this request alone. If not,
//     StoredHeader has the fields to store, and to give to anybody else.
//  7. Invalidates lists what an unsafe method's response makes obsolete.
//  8. CacheStatus tells the client what happened.
//
// # Doubt
//
// Where the specifications leave a choice, or a field cannot be read, the most
// restrictive reading is taken: contradictory or malformed freshness is stale,
// a restriction counts however badly it is written, a permission only when it
// is written well. Options that go against a specification's MUST NOT, or
// against caution, are named Dangerously or say so.
package rfc9111
