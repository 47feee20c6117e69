package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of this package. An error of a [Manager] or a [Lock] is a [*LockError],
// but for that of [Manager.Check] and what fn returned to [Manager.Do]. It answers
// [errors.Is] for each of these that is true of it, so one error may be both "somebody
// else holds it" and "too few nodes answered" when both happened.
var (
	// ErrNotAcquired: another owner holds the lock.
	ErrNotAcquired = errors.New("lock not acquired: held by another owner")
	// ErrTimeout: another owner still held the lock when the wait was over.
	// It is also an ErrNotAcquired.
	ErrTimeout error = timeoutError{}
	// ErrNoQuorum: fewer than a majority of the nodes answered usefully.
	// The *QuorumError in the chain says what each node said.
	ErrNoQuorum = errors.New("no quorum")
	// ErrNotReleased: the release was not confirmed by a majority; what is left
	// of the lock ends with its lease.
	ErrNotReleased = errors.New("release not confirmed by a quorum")
	// ErrNotOwner: the key belongs to another owner now.
	ErrNotOwner = errors.New("not the owner")
	// ErrExpired: the lease ran out before the call.
	ErrExpired = errors.New("lease expired")
	// ErrLost is the cancellation cause of [Lock.Context] when the lease can no
	// longer be relied upon.
	ErrLost = errors.New("lock lost")
	// ErrDeadlock: waiting would never end, because the caller's own context
	// already runs under the lock, or holds one that its holder waits for.
	ErrDeadlock = errors.New("deadlock")
	// ErrNotLocked: nobody holds the key.
	ErrNotLocked = errors.New("not locked")
	// ErrClosed: the Manager was closed.
	ErrClosed = errors.New("manager closed")
	// ErrInvalid: an argument was refused before any command was sent. New says so of
	// one server under two names, too.
	ErrInvalid = errors.New("invalid argument")
)

var (
	errEmptyKey = fmt.Errorf("%w: empty key", ErrInvalid)
	errNoLock   = fmt.Errorf("%w: there is no lock (nil *Lock)", ErrNotOwner)
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "lock not acquired: timed out waiting for its holder" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == ErrNotAcquired }

// opHealth is the one operation that is about no key.
const opHealth = "health"

// LockError says which operation failed on which key, and why.
type LockError struct {
	Op  string // "acquire", "extend", "renew", "release", "inspect", "health"
	Key string // as the caller gave it; "" of "health"
	Err error
}

// Error quotes the key, which may hold any bytes.
func (e *LockError) Error() string {
	if e.Op == opHealth {
		return fmt.Sprintf("dlm: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("dlm: %s %s: %v", e.Op, quoteKey(e.Key), e.Err)
}

func (e *LockError) Unwrap() error { return e.Err }

// QuorumError says what the nodes answered when a majority was not reached.
type QuorumError struct {
	Need  int         // nodes that had to agree
	Got   int         // nodes that did
	Nodes []NodeError // the others, each with its cause
}

// NodeError is one node's reason.
type NodeError struct {
	Node string // address, never credentials
	Err  error
}

func (e NodeError) Error() string { return e.Node + ": " + e.Err.Error() }
func (e NodeError) Unwrap() error { return e.Err }

func (e *QuorumError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no quorum: %d of the %d nodes needed", e.Got, e.Need)
	for i, n := range e.Nodes {
		sep := "; "
		if i == 0 {
			sep = " ("
		}
		b.WriteString(sep)
		b.WriteString(n.Error())
	}
	if len(e.Nodes) > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

// Is reports ErrNoQuorum.
func (e *QuorumError) Is(target error) bool { return target == ErrNoQuorum }

// Unwrap gives every node's cause to errors.Is and errors.As.
func (e *QuorumError) Unwrap() []error {
	errs := make([]error, len(e.Nodes))
	for i, n := range e.Nodes {
		errs[i] = n
	}
	return errs
}

// causes is several truths about one failure; its text is the first one's with
// the others behind it, each once: the cause of a context may be its error.
type causes []error

func (c causes) Error() string {
	parts := make([]string, 0, len(c))
	for _, err := range c {
		if text := err.Error(); !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ": ")
}

func (c causes) Unwrap() []error { return c }

// contextError is why ctx is done, both its cause and its Err; nil while it is not.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	return causes{context.Cause(ctx), err}
}

// endedBy adds to an outage that the nodes were not waited for until NodeTimeout.
func endedBy(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ErrNoQuorum) {
		return err
	}
	return causes{err, contextError(ctx)}
}

func lockError(op, key string, errs ...error) error {
	if len(errs) == 1 {
		return &LockError{Op: op, Key: key, Err: errs[0]}
	}
	return &LockError{Op: op, Key: key, Err: causes(errs)}
}

// maxQuoted keeps a hostile key from filling a log line.
const maxQuoted = 128

func quoteKey(key string) string {
	if len(key) <= maxQuoted {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%q… (%d bytes)", key[:maxQuoted], len(key))
}
