package cache

import (
	"errors"
	"fmt"
)

// Errors of this package, for errors.Is. A call refused because its wait for
// another caller's fetch ended is a core.ErrTimeout (and core.ErrNotAcquired);
// one refused because the lock service is down is a core.ErrNoQuorum.
var (
	// ErrStore: the store failed, or did not answer in time.
	ErrStore = errors.New("cache store failed")
	// ErrFenced: the store refused a value because its key was purged, or a
	// later lock holder stored another one, while it was being made; or because
	// it came when its lifetime, or the lease it was made under, was over.
	ErrFenced = errors.New("fenced off by a purge or a later fill")
	// ErrClosed: the Cache was closed.
	ErrClosed = errors.New("cache closed")
	// ErrInvalid: an argument was refused before anything was done.
	ErrInvalid = errors.New("invalid argument")
)

// Error says which operation failed on which key, and why.
type Error struct {
	Op  string // "lookup", "refresh", "invalidate", "close"
	Key string // "" where it is of several keys, or of none
	Err error
}

const maxQuoted = 128

// Error quotes the key, which may hold any bytes.
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("dlm/cache: %s: %v", e.Op, e.Err)
	}
	if len(e.Key) > maxQuoted {
		return fmt.Sprintf("dlm/cache: %s %q… (%d bytes): %v", e.Op, e.Key[:maxQuoted], len(e.Key), e.Err)
	}
	return fmt.Sprintf("dlm/cache: %s %q: %v", e.Op, e.Key, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// PanicError is what those who waited for a fetch get when it panicked or
// called runtime.Goexit. The caller whose fetch it was gets the panic itself.
type PanicError struct {
	Value any    // nil for Goexit
	Stack []byte // of the fetch
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return "the fetch called runtime.Goexit"
	}
	return fmt.Sprintf("the fetch panicked: %v", e.Value)
}

// Unwrap gives a panic whose value is an error to errors.Is.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
