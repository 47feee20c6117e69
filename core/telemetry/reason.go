package telemetry

import (
	"context"
	"errors"

	"github.com/market-intel-brain/dlm/core"
)

// reasons give an error its error.type. The first that is true of it counts: an
// outage before the contention that was met as well, a caller that went away
// before the time that was over.
var reasons = []struct {
	err  error
	name string
}{
	{core.ErrInvalid, "invalid"},
	{core.ErrDeadlock, "deadlock"},
	{core.ErrClosed, "closed"},
	{core.ErrNotReleased, "not_released"},
	{core.ErrNoQuorum, "no_quorum"},
	{core.ErrNotOwner, "not_owner"},
	{core.ErrExpired, "expired"},
	{core.ErrLost, "lost"},
	{context.Canceled, "canceled"},
	{core.ErrTimeout, "timeout"},
	{context.DeadlineExceeded, "timeout"},
	{core.ErrNotAcquired, "contended"},
}

// otherReason is the conventions' word for what has no name.
const otherReason = "_OTHER"

func reasonOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return otherReason
}
