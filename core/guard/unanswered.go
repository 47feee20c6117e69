package guard

import (
	"context"
	"errors"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// A handler may leave it to others to answer: by an error that middleware or the
// framework turns into a response, or by giving up with its context, after which
// middleware for timeouts says 504. net/http would send an empty 200 if nobody did,
// which is not to be taken for what the handler has answered.

const reasonUnanswered rfc9111.Reason = "unanswered"

// errUnanswered ends a refresh whose handler left what is stored as it is.
var errUnanswered = errors.New("guard: the handler of the background refresh did not answer")

// unanswered reports a handler that has returned err without having answered. Its
// context is ctx.
func (rec *recorder) unanswered(ctx context.Context, err error) bool {
	return rec.status == 0 && !rec.live && (err != nil || ctx.Err() != nil)
}

// left makes a response of that, which is nobody's. It has the fields for whoever
// answers, and the status that err tells, if it does.
func (rec *recorder) left(err error) *response {
	return &response{
		status: httpStatus(err), full: rec.header, reason: reasonUnanswered, err: err, policy: cache.Policy{NoStore: true},
	}
}

// httpStatus is the status that an error has to say, or 0.
func httpStatus(err error) int {
	var has interface{ HTTPStatus() int }
	if errors.As(err, &has) {
		return has.HTTPStatus()
	}
	return 0
}

// failing takes what the handler has returned beside its response. An error that this
// does not tell of means that it has ended before its time.
func (rec *recorder) failing(err error) {
	if err != nil && rec.status < 400 {
		rec.spoiled = true
	}
}
