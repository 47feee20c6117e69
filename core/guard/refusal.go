package guard

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

// Refusal is the error of a request whose handler did not run.
type Refusal struct {
	Status     int           // what to answer
	RetryAfter time.Duration // when it may work, in whole seconds; 0: retrying does not help
	Err        error         // why; may hold the key, so it is for the log, not for the client
}

func (e *Refusal) Error() string { return fmt.Sprintf("guard: refused with %d: %v", e.Status, e.Err) }

// Unwrap returns why.
func (e *Refusal) Unwrap() error { return e.Err }

// HTTPStatus returns Status.
func (e *Refusal) HTTPStatus() int { return e.Status }

// ErrQueueFull is why a request was refused when MaxQueue others waited already.
var ErrQueueFull = errors.New("guard: too many requests wait for this key")

// WriteRefusal answers a request that was refused: err's status, Retry-After,
// and the name of the status as text. Any error but a *Refusal is a 500.
func WriteRefusal(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var refusal *Refusal
	if errors.As(err, &refusal) {
		status = refusal.Status
		refusal.SetRetryAfter(w.Header())
	}
	http.Error(w, http.StatusText(status), status)
}

// SetRetryAfter sets the Retry-After field of h, where there is one to set.
func (e *Refusal) SetRetryAfter(h http.Header) {
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}

const retrySoon = time.Second

// refuseKey is the refusal of a request without a key. An error of ours or of
// the key function that says it is the program's fault is logged: nobody else
// will read of it.
func (g *Guard) refuseKey(r *http.Request, err error) error {
	status := http.StatusBadRequest
	if told := httpStatus(err); told >= 400 && told <= 599 {
		status = told
	}
	refusal := &Refusal{Status: status, Err: err}
	if status >= 500 {
		g.logMistake(r, err)
	}
	return refusal
}

// refuseLock sorts what Acquire says:
//
//	the client went away, or its deadline passed   503, nobody is to blame
//	somebody else holds the lock                   ContentionStatus
//	the caller holds the lock already, bad option  500 and a line in the log
//	an outage of nodes or store, or shutting down  503
func (g *Guard) refuseLock(r *http.Request, err error) *Refusal {
	if r.Context().Err() == nil {
		g.outcomes.refused.Add(1)
	}
	switch {
	case r.Context().Err() != nil, unavailable(err):
	case errors.Is(err, core.ErrNotAcquired), errors.Is(err, ErrQueueFull):
		return &Refusal{Status: g.ContentionStatus, RetryAfter: retrySoon, Err: err}
	case errors.Is(err, core.ErrDeadlock), errors.Is(err, core.ErrInvalid), errors.Is(err, cache.ErrInvalid):
		g.logMistake(r, err)
		return &Refusal{Status: http.StatusInternalServerError, Err: err}
	}
	return &Refusal{Status: http.StatusServiceUnavailable, RetryAfter: retrySoon, Err: err}
}

// contended lets OnContention answer.
func (g *Guard) contended(w http.ResponseWriter, r *http.Request, refusal *Refusal) error {
	contention := errors.Is(refusal.Err, core.ErrNotAcquired) || errors.Is(refusal.Err, ErrQueueFull)
	if g.OnContention == nil || !contention {
		return refusal
	}
	refusal.SetRetryAfter(w.Header())
	markRefused(w)
	g.OnContention(w, r, refusal)
	return nil
}

// unavailable tells an outage from contention; where both happened somebody
// was seen to hold the lock.
func unavailable(err error) bool {
	outage := errors.Is(err, core.ErrNoQuorum) || errors.Is(err, core.ErrClosed)
	return outage && !errors.Is(err, core.ErrNotAcquired)
}
