package core

import (
	"context"
	"errors"
	"sync"
	"time"
)

// standing is what observers and the log were told of a node. A node that
// answers again has not stood up yet: after a restart it may have no vote for long.
type standing struct {
	mu     sync.Mutex
	fallen bool      // observers know that it does not answer or does not vote. Guarded by mu
	logged time.Time // when a failure was last logged. Guarded by mu
	missed bool      // the log knows it as failed, or without a vote. Guarded by mu
	barred bool      // the log knows that it answers without a vote. Guarded by mu
}

// fell tells of a failure. The log hears of it once a second at most, however
// often the node comes and goes, and of the end of what it has heard of.
func (n *node) fell(err error) {
	if n.m.isClosed() {
		return
	}
	s := &n.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	n.tellDown(now, err)
	if now.Sub(s.logged) > time.Second {
		s.logged, s.missed, s.barred = now, true, false
		n.m.cfg.Logger.Warn("dlm: node failed", "node", n.name, "error", err)
	}
}

// review tells what has become of the vote of a node that answers.
func (n *node) review() {
	s := &n.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	why := n.ballot.Load().refusal(now)
	switch {
	case n.down.Load() || n.m.isClosed():
	case why == nil:
		n.tellUp(now)
	case isTransient(why):
	default:
		n.tellDown(now, why)
		if !s.barred {
			s.missed, s.barred = true, true
			n.m.cfg.Logger.Warn("dlm: node answers, but does not vote", "node", n.name, "reason", why)
		}
	}
}

// isTransient reports whether why lasts no longer than a few commands, or was told
// already.
func isTransient(why error) bool {
	for _, passing := range []error{errUnmet, errUndecided, errMarking, errAsking, errForgot} {
		if errors.Is(why, passing) {
			return true
		}
	}
	return false
}

// tellDown tells observers once of what lasts. standing.mu is held, so that they
// hear of it and of its end in order.
func (n *node) tellDown(now time.Time, err error) {
	if !n.standing.fallen {
		n.standing.fallen = true
		n.m.observe(context.Background(), Event{Kind: EventNodeDown, Node: n.name, Time: now, Err: err})
	}
}

// tellUp ends it. standing.mu is held.
func (n *node) tellUp(now time.Time) {
	s := &n.standing
	if s.fallen {
		s.fallen = false
		n.m.observe(context.Background(), Event{Kind: EventNodeUp, Node: n.name, Time: now})
	}
	if s.missed {
		s.missed, s.barred = false, false
		n.m.cfg.Logger.Info("dlm: node votes again", "node", n.name)
	}
}
