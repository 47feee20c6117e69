package core

import "testing"

// A majority that failed does not hide a holder whom the others know.
func TestOutageIsNotDeclaredBeforeTheOthersHaveSpoken(t *testing.T) {
	for _, c := range []struct {
		what                         string
		yes, failed, refused, silent int
		decided                      bool
	}{
		{"everybody is asked", 0, 0, 0, 5, false},
		{"won", 3, 0, 0, 2, true},
		{"contention", 0, 0, 3, 2, true},
		{"a minority failed", 0, 2, 0, 3, false},
		{"a majority failed, the others may know a holder", 0, 3, 0, 2, false},
		{"a majority failed, one knows a holder", 0, 3, 1, 1, true},
		{"a majority failed, one would have granted", 1, 3, 0, 1, false},
		{"a majority failed and nobody else is left", 2, 3, 0, 0, true},
		{"lost to both together", 0, 2, 1, 2, false},
	} {
		r := &round{votes: make([]vote, 5), yes: c.yes, no: c.failed + c.refused, refusals: c.refused, pending: c.silent}
		if got := r.decided(); got != c.decided {
			t.Errorf("%s: decided is %t", c.what, got)
		}
	}
}
