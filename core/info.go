package core

import "time"

// LockInfo describes a lock as its nodes see it.
type LockInfo struct {
	Key          string
	Owner        string // unique per grant
	Metadata     string // WithMetadata's note
	AcquiredAt   time.Time
	ExpiresAt    time.Time     // when the lease ends unless renewed
	TTL          time.Duration // what is left of the lease
	Nodes        []string      // addresses of the nodes that hold it
	FencingToken uint64
}

// Health is what the nodes say of themselves.
type Health struct {
	Quorum int // nodes that must agree
	Voting int // nodes that can
	Nodes  []NodeHealth
}

// NodeHealth is one node's state.
type NodeHealth struct {
	Node     string // address, never credentials
	Voting   bool
	Reason   string        // why it does not vote, or what to worry about
	Latency  time.Duration // of one PING
	Role     string        // "master", "slave", or "" when the server does not say
	Version  string
	Eviction string // maxmemory-policy when it can evict lock keys
	Err      error
}

// Stats are counters since New, and gauges where said.
type Stats struct {
	Held       int // gauge: locks held now
	Waiting    int // gauge: callers waiting now
	Acquired   uint64
	HandedOver uint64 // of Acquired: without leaving the process
	Refused    uint64
	Released   uint64
	Lost       uint64
	Timeouts   uint64 // of Refused: at the end of the wait
	Deadlocks  uint64 // of Refused
	Quorum     int    // nodes that must agree
	Nodes      []NodeStats
}

// NodeStats are one node's counters.
type NodeStats struct {
	Node     string
	Commands uint64 // that it answered
	Errors   uint64 // of commands that failed, timed out or were not sent
	Voting   bool   // it answers, and its answers count
}
