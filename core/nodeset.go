package core

import "math/bits"

// nodeSet is a set of nodes by index.
type nodeSet uint64

// maxNodes is what a nodeSet can hold; quorums of more are not useful.
const maxNodes = 64

func (s *nodeSet) add(i int)     { *s |= 1 << i }
func (s *nodeSet) remove(i int)  { *s &^= 1 << i }
func (s nodeSet) has(i int) bool { return s&(1<<i) != 0 }

// only is the set of one node.
func only(n *node) nodeSet { return 1 << n.index }

func (s nodeSet) count() int { return bits.OnesCount64(uint64(s)) }

// full reports whether all of n nodes are in the set.
func (s nodeSet) full(n int) bool { return s == 1<<n-1 }
