package core

import (
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// Processes that start together all find a deployment without markers, and one
// of them is the first to mark each node as new. Another may see the marker of one
// node and still find the next without: that has lost nothing, its marker is on
// the way. Taken for a loss, it would lose its vote for the longest lease in use,
// and three processes could so keep a majority of the nodes out.

// foundingTime is how long a marker may be on the way. A node that did lose its
// data within that time of its founding is put into quarantine after it.
const foundingTime = 2 * time.Second

// foundingPause is how soon a node without a marker is looked at again.
const foundingPause = 25 * time.Millisecond

// noteFounding takes a marker's word on when the deployment was founded.
func (m *Manager) noteFounding(r wire.Reply) {
	age := r.Items[4].Int
	if age < 0 || age > foundingTime.Milliseconds() {
		return
	}
	at := time.Now().Add(-time.Duration(age) * time.Millisecond)
	if earlier := m.founded.Load(); earlier == nil || at.After(*earlier) {
		m.founded.Store(&at) // losing a race to a marker of the same moment does no harm
	}
}

// beingFounded reports whether nodes may still be without a marker because nobody
// has got to them.
func (m *Manager) beingFounded() bool {
	at := m.founded.Load()
	return at != nil && time.Since(*at) < min(foundingTime, time.Duration(m.longest.Load()))
}
