// Package acquisition is what core can be told of one acquisition. Packages below core
// may tell it more than there are Options for.
package acquisition

import "time"

// Settings are what one acquisition runs with. They are checked as a whole before any
// command is sent.
type Settings struct {
	TTL        time.Duration
	Wait       time.Duration
	RetryDelay time.Duration
	MaxRetries int // 0: until Wait is over
	MaxHold    time.Duration
	MaxHoldSet bool // MaxHold counts even if it is 0
	MaxOutage  time.Duration
	AutoRenew  bool
	Metadata   string

	// Tentative: whoever finds the lock taken goes on to wait for what its holder
	// makes, or has a stale value. That is no refusal, and is neither counted nor
	// observed.
	Tentative bool
}
