package core

// The protocol as a model: what one node does with each command, written again
// in Go without time. statespace_scripts_test.go holds it against the Lua that
// is shipped; statespace_explore_test.go lets contenders loose on several nodes.

// modelNode is one lock and its bucket's counter on one node.
type modelNode struct {
	counter uint8 // fencing counter; 0: there is none
	holder  uint8 // attempt that holds the lock, from 1; 0: free
	token   uint8 // first token in the holder's record
	lease   uint8 // how far the holder's key reaches: renewals it has seen
}

// claim is the first half of a claim, SET NX.
//
//go:norace
func (n *modelNode) claim(owner, first uint8) bool {
	if n.holder != 0 {
		return false
	}
	n.holder, n.token, n.lease = owner, first, 0
	return true
}

// move is its second half, ZADD XX GT CH, executed whatever became of the first.
//
//go:norace
func (n *modelNode) move(last uint8) bool {
	if n.counter == 0 || n.counter >= last {
		return false
	}
	n.counter = last
	return true
}

// acquire is acquire.lua behind its look at the marker. It returns the first
// token of the block, or 0 when refused. lease is the renewal that the TTL was
// counted from.
//
//go:norace
func (n *modelNode) acquire(owner, first, block, lease uint8, rules modelRules) uint8 {
	ours := n.holder == owner
	if n.holder != 0 && !ours {
		return 0
	}
	if ours && !rules.topUpShortens {
		lease = max(lease, n.lease)
	}
	last := first + block - 1
	if n.counter >= first && !(rules.sameBlock && ours && n.counter == last) {
		first = n.counter + 1
		last = first + block - 1
	}
	n.counter = last
	n.holder, n.token, n.lease = owner, first, lease
	return first
}

// raise is raise.lua.
//
//go:norace
func (n *modelNode) raise(owner, first, last uint8, rules modelRules) bool {
	if n.holder != owner {
		if rules.raiseUnguarded {
			n.counter = max(n.counter, last)
			return true
		}
		return false
	}
	n.counter = max(n.counter, last)
	n.token = first
	return true
}

// release is release.lua: 1 released, 0 gone, -1 another owner's.
//
//go:norace
func (n *modelNode) release(owner uint8) int {
	switch n.holder {
	case owner:
		n.expire()
		return 1
	case 0:
		return 0
	}
	return -1
}

// renew is renew.lua for one lock, with the same answers.
//
//go:norace
func (n *modelNode) renew(owner, lease uint8) int {
	switch n.holder {
	case owner:
		n.lease = lease
		return 1
	case 0:
		return 0
	}
	return -1
}

// expire is what the clock does. The counter stays.
//
//go:norace
func (n *modelNode) expire() { n.holder, n.token, n.lease = 0, 0, 0 }

// forget is a restart without data.
//
//go:norace
func (n *modelNode) forget() { *n = modelNode{} }

// modelRules take one piece of the protocol out, to show that it is needed.
type modelRules struct {
	raiseUnguarded bool // raise a counter also when the lock is not ours any more
	raiseSkipped   bool // declare success with the tokens as they came
	sameBlock      bool // take a counter at the end of the proposed block for one's own doing
	topUpShortens  bool // a late acquire sets the key's TTL back
	noQuarantine   bool // a node that lost its data votes at once
	topUpBanned    bool // a lease is topped up on a node in quarantine
	clockSetBack   bool // proposals do not grow
	staleBallot    bool // what was sent to a server is executed by the one that comes in its place
}
