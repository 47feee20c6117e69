package cache

import (
	"bytes"
	"errors"
)

// NegativeError is a remembered error: the fetch failed with one of
// [Config.NegativeErrors] not longer than [Config.Negative] ago, here or in
// another process. errors.Is finds the named error.
type NegativeError struct {
	Err  error  // the named error
	Text string // of the error the fetch returned
}

func (e *NegativeError) Error() string { return e.Text }
func (e *NegativeError) Unwrap() error { return e.Err }

// negative is the named error that err is to be remembered as, if any.
func (c *Cache[V]) negative(err error) *NegativeError {
	if c.cfg.Negative == 0 || !c.cfg.stores() {
		return nil
	}
	for _, named := range c.cfg.NegativeErrors {
		if errors.Is(err, named) {
			return &NegativeError{Err: named, Text: err.Error()}
		}
	}
	return nil
}

// A named error is known by its text in every process.
func encodeError(e *NegativeError) []byte {
	return append(append([]byte(e.Err.Error()), 0), e.Text...)
}

// recallError is nil for an error that this program does not name.
func (c *Cache[V]) recallError(payload []byte) error {
	name, text, ok := bytes.Cut(payload, []byte{0})
	if !ok {
		return nil
	}
	for _, named := range c.cfg.NegativeErrors {
		if named.Error() == string(name) {
			return &NegativeError{Err: named, Text: string(text)}
		}
	}
	return nil
}
