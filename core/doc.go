// Package core is a distributed lock on independent Redis nodes: Redlock, with
// fencing tokens.
//
//	m, err := core.New(core.Config{Nodes: []string{
//		"redis://a:6379", "redis://b:6379", "redis://c:6379",
//	}})
//	…
//	err = m.Do(ctx, "order_42", func(ctx context.Context) error {
//		lock, _ := core.FromContext(ctx)
//		return orders.Pay(ctx, 42, lock.FencingToken())
//	})
//
// # What is promised
//
// As long as clocks run at about the same speed ([Config].DriftFactor) and a
// majority of the nodes keeps its data, at most one holder relies on a key at a
// time. A lock is granted by a majority and relied upon for its TTL, less the
// time that the grant took and the allowance for drift. [Lock.Context] is
// cancelled with cause [ErrLost] before anybody else can be granted the key.
//
// A server that executed a command whose answer was lost is asked again as soon
// as there is another connection; within NodeTimeout that is a success.
//
// No node holds up a call for longer than [Config].NodeTimeout, and a node that
// stays silent costs neither time nor goroutines. No call lasts noticeably
// longer than its wait or its context. A key that nobody owns is removed from
// every node that can be reached, and from the others when they return; where
// the process dies, keys end with their TTL.
//
// A node that may have forgotten locks, because it restarted or was flushed, has
// no vote until the longest lease in use is over: the longest that any client ever
// asked for, on which a single [WithTTL] of a day counts for good. Clients count from
// when they met the node, by their own clocks. How long that lease is, so many other
// nodes must tell that one of them knows: 2 where there are 3 or 4 in all, 3 where there
// are 5 or 6, and so on. While fewer answer, a node that has lost data has no vote either.
// A deployment that is new as a whole starts at once.
//
// Every lock has a [Lock.FencingToken], greater than that of every lock of the
// same key before it.
//
// # What Redlock cannot promise
//
// A lock with a lease cannot by itself keep a resource safe. These break the
// exclusion, and no lock of this kind can help it:
//
//   - Pauses. A process that is stopped, swapped out or starved past its lease
//     goes on where it stopped, with a request that it had decided to send before.
//     Ask [Lock.Context] right before each step: its Err looks at the clock. What
//     is on its way to the resource then is still on its way.
//   - Clocks. Redis expires keys by its own clock. A clock that jumps forward
//     ends locks early on that node, and on a majority of nodes ends them before
//     their time. A clock of a machine that stands still while its processes do,
//     as in a suspended virtual machine, hides the time that passed.
//   - Amnesia. A majority that loses its data at once, or a replica promoted in
//     place of a primary whose last writes it had not got, has forgotten locks.
//     The quarantine covers a minority at a time. The counters behind the tokens
//     are then only as good as the clocks of the clients, from which new ones
//     begin: a token may step back if those were set back too. A counter that alone
//     is evicted or deleted, while the node's marker stays, is not noticed. It begins
//     anew at the clients' clocks, and never below that of the server when it was
//     marked: a token steps back if an earlier one came of a clock that was ahead, and
//     no other node of the majority has its counter. [Manager.Health] tells of
//     servers that evict keys.
//
// # What the caller must do
//
// Give the token to the resource, and have the resource refuse a token lower
// than one it has seen; that covers all of the above. Where the resource cannot
// do that, make what runs under the lock harmless to run twice.
//
// Stop when the context is cancelled. Release every lock, also a lost one. Use
// nodes that do not replicate each other, with maxmemory-policy noeviction.
// Choose a TTL well above the round trip and the longest pause to be expected, and
// let [Manager.Do] or [WithAutoRenew] keep it alive.
//
// # Access rights
//
// A Redis user that may do what a Manager needs and nothing else, for the
// default prefix, here on Redis 7:
//
//	ACL SETUSER dlm on >password resetkeys resetchannels -@all ~dlm:1:* &dlm:1:wake:* +evalsha +eval +script|load +get +mget +set +del +exists +pexpire +pttl +zadd +zscore +zpopmin +zrem +hmget +hset +time +publish +subscribe +ping +info
//
// Without +info a Manager works, and cannot tell replicas and evicting servers, nor
// that a server was restarted which has kept its marker: whether its snapshot lacks
// a lock is not noticed then. The same goes for a server behind a proxy that keeps its
// clients' connections over the restart.
// Without +mget and +exists, locks that are released at the same time cost the server more.
//
// # Sources
//
// The tests behind each promise are named in promises_test.go.
//
// Redis, "Distributed Locks with Redis" (the algorithm, its safety argument, crash
// recovery by delayed restarts). Martin Kleppmann, "How to do distributed
// locking", 2016 (pauses, clocks, fencing tokens), and Salvatore Sanfilippo's
// reply, "Is Redlock safe?", 2016. Mike Burrows, "The Chubby lock service for
// loosely-coupled distributed systems", OSDI 2006 (sequencers).
package core
