package core

// checkTwins takes the vote from a server for each further time that it is in the
// list, and has those met anew that are no longer there twice.
func (m *Manager) checkTwins() {
	seen := map[string]bool{}
	for _, n := range m.nodes {
		id, b := n.identity(), n.ballot.Load()
		switch twin := b != nil && b.why == errSameServer; { //nolint:errorlint // our own
		case id == "":
		case !seen[id] && twin:
			n.meetLater(0)
		case seen[id] && !twin:
			n.ballot.Store(&ballot{id: id, why: errSameServer})
		}
		seen[id] = true
	}
}

func (m *Manager) twins() (first, second *node) {
	seen := map[string]*node{}
	for _, n := range m.nodes {
		id := n.identity()
		if other := seen[id]; other != nil && id != "" {
			return other, n
		}
		seen[id] = n
	}
	return nil, nil
}

// identity is what no other node can share: the server's run id, or the marker
// where the server does not tell; "" before the first meeting.
func (n *node) identity() string {
	if f := n.server.Load(); f != nil && f.runID != "" {
		return f.runID
	}
	if b := n.ballot.Load(); b != nil {
		return b.id
	}
	return ""
}
