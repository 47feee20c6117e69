package core

import (
	"strconv"
	"time"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

// How long ago a server lost data, only its own clock could tell; and that may have
// been set meanwhile, as at the start of a machine. So a client counts from when it
// met the server, by its own clock, which cannot be set. When the quarantine is over
// it says so on the marker, for those who come after it; a client that leaves before
// says how long it has seen the server run, so that short-lived ones get there
// together.

// attestLater has the end of the quarantine written down when it is there.
func (n *node) attestLater(b *ballot) {
	n.later(time.Until(b.from), func() {
		switch now := n.ballot.Load(); {
		case now.id != b.id || now.lost != b.lost: // met anew
		case now.refusal(time.Now()) != nil:
			n.attestLater(now) // it was lengthened
		default:
			n.review()
			n.attest(now, "over")
		}
	})
}

// attestSoFar writes down what there was of a quarantine that is not over.
func (n *node) attestSoFar() {
	if b := n.ballot.Load(); b != nil && !b.since.IsZero() && b.refusal(time.Now()) != nil {
		n.attest(b, strconv.FormatInt(time.Since(b.since).Milliseconds(), 10))
	}
}

func (n *node) attest(b *ballot, waited string) {
	n.send(time.Now(), wire.Call{
		Req: wire.NewRequest(attestScript, 1, n.m.markerKey, b.id, strconv.FormatInt(b.lost, 10), waited),
		To:  heardOf{},
	})
}
