// Package coretest runs Redis for tests, benchmarks and demonstrations, and
// breaks it in the ways production does.
//
// Three kinds of server are offered, none of which needs anything to be
// running beforehand:
//
//   - [Redis] starts independent redis-server processes that can be killed,
//     frozen, thawed, restarted empty, filled up, made read-only, put behind
//     a password, an ACL or TLS. [Cluster] and [Sentinel] start the two
//     deployments that Redis knows.
//   - [Embedded] starts in-process servers (miniredis) with a clock that runs,
//     for machines without redis-server and for tests under testing/synctest.
//   - [Proxy] stands between a client and any of them and delays, holds, drops
//     or resets what passes.
//
// Each comes in two forms. The form that takes a [testing.TB] ends the test
// when the servers cannot be started and takes them down in its cleanup. The
// form called Start… returns an error and a value with a Close method, for
// programs that are not tests.
//
// # Errors
//
// Methods that act on a server return an error. In the testing form the error
// is also reported with [testing.TB.Errorf], so a test may leave it unread:
//
//	nodes := coretest.Redis(t, 3)
//	nodes.Node(0).Kill() // fails the test by itself if it cannot be done
//
// Methods that talk to a server give up after ten seconds.
//
// # Life of the processes
//
// A redis-server started here dies with the program that started it, whatever
// ends that program: on Linux the kernel sees to it (PR_SET_PDEATHSIG).
// On other systems a program that is killed before its cleanup leaves its
// servers behind.
//
// Servers listen on 127.0.0.1 only, on ports below those the system hands to
// outgoing connections. A port from that range could be taken by anybody's
// outgoing connection while its server is down, and a client that keeps dialing
// a dead port of that range will in the end connect to itself.
package coretest
