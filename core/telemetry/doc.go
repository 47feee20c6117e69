// Package telemetry reports locks and caches as OpenTelemetry metrics and
// traces. It needs the OpenTelemetry API only: where the figures go is for the
// SDK and the exporter that the program chooses.
//
//	observer, err := telemetry.New(telemetry.Config{})
//	locks, err := core.New(core.Config{Nodes: nodes, Observer: observer})
//	stop, err := observer.WatchManager(locks)
//	defer stop()
//
// # Metrics
//
// Durations are in seconds. error.type is one of canceled, closed, contended,
// deadlock, expired, invalid, lost, no_quorum, not_owner, not_released, timeout
// and _OTHER; who was refused for several reasons is counted once, an outage
// first.
//
//	dlm.lock.wait.duration     histogram  from the call to the lock or the refusal; error.type when refused
//	dlm.lock.hold.duration     histogram  from the grant to the release or the loss; error.type when lost
//	dlm.lock.acquired          counter    dlm.lock.source: redis, or handover from another caller of the process
//	dlm.lock.refused           counter    error.type
//	dlm.lock.waited            counter    acquisitions that did not get the lock at once
//	dlm.lock.renewed           counter    by Extend and Renew; automatic renewal is not counted
//	dlm.lock.released          counter    error.type when the release failed
//	dlm.lock.lost              counter
//	dlm.node.transitions       counter    dlm.node.state (up, down), server.address, server.port
//
// The contention ratio is waited over acquired and refused together.
// WatchManager adds
//
//	dlm.lock.held              up-down counter
//	dlm.lock.waiting           up-down counter
//	dlm.quorum                 gauge      nodes that must agree
//	dlm.node.voting            gauge      1 or 0; server.address, server.port
//	dlm.node.ping.duration     gauge      of nodes that vote
//	dlm.node.commands          counter
//	dlm.node.errors            counter
//
// and WatchCache and WatchMemory, all with dlm.cache.name,
//
//	dlm.cache.requests         counter    dlm.cache.result: hit, stale, negative, collapsed, refused
//	dlm.cache.fetches          counter    error.type when they failed
//	dlm.cache.refreshes        counter    in the background; dlm.cache.result: begun, dropped
//	dlm.cache.discarded        counter    values not stored; dlm.cache.reason: fenced, unguarded, unstorable
//	dlm.cache.errors           counter    dlm.cache.source: store, lock, corrupt
//	dlm.cache.fetches.active   up-down counter
//	dlm.cache.memory.usage     up-down counter, bytes
//	dlm.cache.memory.limit     up-down counter, bytes
//	dlm.cache.memory.entries   up-down counter
//
// No metric has the key of a lock as an attribute: every value makes a series
// of its own, for ever. [Config.Group] sorts keys into few groups instead.
//
// # Traces
//
// An acquisition is a span "dlm acquire" and a hold a span "dlm hold", children
// of the span in the context given to Acquire, in a handler that of the
// request. [Fetch] adds a span "dlm fetch" around what fills a cache, and
// [Observer.OnFetch] one around a handler that runs for the store of a Guard;
// that of a refresh in the background is linked to the span of the request.
// Spans of locks carry the key as dlm.lock.key unless [Config.HideKeys] is set.
//
//	guard.Config{OnFetch: observer.OnFetch("quotes")} // and
//	observer.WatchCache("quotes", g.Stats)
//	observer.WatchMemory("quotes", g.Usage)
//
// # Names
//
// Names and units follow the OpenTelemetry semantic conventions
// (https://opentelemetry.io/docs/specs/semconv/general/naming/); error.type,
// http.response.status_code, server.address and server.port are theirs.
package telemetry
