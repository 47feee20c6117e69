package core

// quorumOf is the smallest majority of n nodes: any two majorities share a node.
func quorumOf(n int) int { return n/2 + 1 }

// verdict is where a vote stands.
type verdict uint8

const (
	undecided verdict = iota
	won
	lostVote
)

// decide closes a vote as soon as the answers still to come cannot change it.
//
//	yes ≥ quorum                 won
//	yes + unanswered < quorum    lost
//	otherwise                    undecided
func decide(nodes, yes, no int) verdict {
	quorum := quorumOf(nodes)
	switch {
	case yes >= quorum:
		return won
	case nodes-no < quorum:
		return lostVote
	}
	return undecided
}

// blame says what a lost acquisition was lost to.
//
//	refused by n-quorum+1 or more    contention: the others could not have changed it
//	refused by some, failures too    both
//	refused by some, no failures     contention, or a vote split among contenders
//	refused by none                  an outage
func blame(nodes, refused, failed int) (contention, outage bool) {
	contention = refused > 0
	outage = failed > 0 && refused <= nodes-quorumOf(nodes)
	return contention, outage
}
