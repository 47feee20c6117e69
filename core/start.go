package core

import "time"

const (
	// meetTimeout bounds how long New waits for nodes that neither answer nor
	// refuse, once a majority is there and the deployment is not new.
	meetTimeout = time.Second
	// majorityTimeout bounds how long it waits for that majority, or for all of a new
	// deployment: what is new on a loaded machine takes its time to connect.
	majorityTimeout = 3 * time.Second
	// stragglerTime is what is kept of that for those that come after a late majority,
	// and for marking a new deployment.
	stragglerTime = 500 * time.Millisecond
)

// awaitNodes returns when every node has been met or has failed, after
// meetTimeout when a majority has markers, and after majorityTimeout in any case.
func (m *Manager) awaitNodes() {
	end := time.Now().Add(majorityTimeout)
	m.awaitProgress(meetTimeout, m.settledNodes)
	// A new deployment would begin with the first that come, and take the next, a
	// moment later, for one that has lost its data.
	switch {
	case !m.majorityMet():
		m.awaitProgress(time.Until(end)-stragglerTime, func() bool { return m.majorityMet() || !m.hopeful() })
		m.awaitProgress(stragglerTime, m.settledNodes)
	case !m.known.Load():
		m.awaitProgress(time.Until(end)-stragglerTime, m.settledNodes)
	}
	m.patienceOver.Store(true)
	m.settleMarkers()
	m.awaitProgress(time.Until(end), func() bool { return m.majorityVotes() || !m.hopeful() })
}

func (m *Manager) majorityMet() bool {
	return m.majority(func(n *node) bool { return n.ballot.Load() != nil })
}

func (m *Manager) majorityVotes() bool {
	now := time.Now()
	return m.majority(func(n *node) bool { return n.ballot.Load().refusal(now) == nil })
}

func (m *Manager) majority(of func(*node) bool) bool {
	count := 0
	for _, n := range m.nodes {
		if of(n) {
			count++
		}
	}
	return count >= quorumOf(len(m.nodes))
}

func (m *Manager) awaitProgress(patience time.Duration, enough func() bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !enough() {
		select {
		case <-m.progress:
		case <-timer.C:
			return
		}
	}
}

// hopeful reports whether a node may be about to vote.
func (m *Manager) hopeful() bool {
	for _, n := range m.nodes {
		b := n.ballot.Load()
		if !n.tried.Load() || b != nil && (b.why == errMarking || b.why == errAsking) && !n.down.Load() { //nolint:errorlint // our own
			return true
		}
	}
	return false
}

// settledNodes reports whether every node was tried and, where a majority is
// here to decide about markers, knows whether it votes.
func (m *Manager) settledNodes() bool {
	met, open := 0, 0
	for _, n := range m.nodes {
		b := n.ballot.Load()
		switch {
		case !n.tried.Load():
			return false
		case b == nil:
			continue
		case b.from.IsZero() && b.why != errSameServer && b.why != errUnheard: //nolint:errorlint // our own
			open++
		}
		met++
	}
	return open == 0 || met < quorumOf(len(m.nodes))
}
