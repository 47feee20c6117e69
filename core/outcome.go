package core

import (
	"errors"
	"fmt"
	"time"
)

// outcome is a finished round in the terms of its caller.
type outcome struct {
	ok         bool
	contention bool
	cut        bool          // ended by its caller before any node had said no
	early      bool          // ended by its caller before the nodes had decided: says nothing to anybody else
	left       time.Duration // of the holder's lease
	unqueued   bool          // the home node granted, and with that took this process off its queue
	err        error         // for a round that was not won
	late       bool          // granted, but too late to be used: the nodes do answer
	since      time.Time     // of an outage that lasts: when the first round met it
}

// isOutage reports that too few nodes answered, and that none of them knows of a
// holder.
func (o *outcome) isOutage() bool { return !o.contention && !o.late && errors.Is(o.err, ErrNoQuorum) }

// conclude reads the votes of a lost round.
func (r *round) conclude() outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	var (
		o                  outcome
		refusals, failures int
		silent             int
		waited             = decide(len(r.votes), r.yes, r.no) == undecided // for all that were asked
		nodes              []NodeError
	)
	for i, v := range r.votes {
		switch v.answer {
		case unasked, granted:
		case refused:
			refusals++
			o.left = max(o.left, v.left)
		case asked:
			if waited {
				silent++
				nodes = append(nodes, NodeError{r.m.nodes[i].name, &timeoutAfter{time.Since(r.start)}})
			}
		default:
			failures++
			nodes = append(nodes, NodeError{r.m.nodes[i].name, v.err})
		}
	}
	contention, outage := blame(len(r.votes), refusals, failures+silent)
	o.early = !r.decided() && time.Since(r.start) < r.m.cfg.NodeTimeout
	o.cut = o.early && refusals+failures == 0 && silent > 0
	if refusals+failures+silent == 0 {
		contention = true // a vote split among contenders that have let go since
	}
	o.contention = contention
	o.err = r.reason(contention, outage, nodes)
	return o
}

func (r *round) reason(contention, outage bool, nodes []NodeError) error {
	var errs causes
	if contention {
		errs = append(errs, ErrNotAcquired)
	}
	if outage {
		errs = append(errs, &QuorumError{Need: quorumOf(len(r.votes)), Got: r.yes, Nodes: nodes})
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errs
}

// timeoutAfter is a node that did not answer in time.
type timeoutAfter struct{ d time.Duration }

func (e *timeoutAfter) Error() string {
	return fmt.Sprintf("no answer within %v", e.d.Round(time.Millisecond))
}
func (e *timeoutAfter) Timeout() bool { return true }
