package rfc9111

import (
	"net/http"
	"time"
)

// Stored is everything this package needs to know about a stored response,
// read from its fields once. It is immutable; reading it allocates nothing.
type Stored struct {
	Status int
	Directives
	Freshness
	ETag         ETag      // zero: none
	LastModified time.Time // zero: none
	Date         time.Time
	Vary         Vary
}

// Describe reads a response that was asked for at requested and received at
// received. The same fields, status and times give the same result, so it
// serves for a response just received as for one read back from a store. A zero
// requested is for a handler known to be the origin: the time it took is then
// no part of the response's age.
func (p *Policy) Describe(status int, h http.Header, requested, received time.Time) Stored {
	s := Stored{
		Status:     status,
		Directives: ParseResponse(h, p.Targets),
		Date:       dateOf(h, received),
		Vary:       ParseVary(h["Vary"]),
	}
	s.Freshness = p.freshness(status, h, &s.Directives, requested, received)
	if lines := h["Etag"]; len(lines) == 1 {
		s.ETag, _ = ParseETag(lines[0])
	}
	s.LastModified, _ = singleDate(h["Last-Modified"], received)
	return s
}

// HasValidator reports whether the response can be validated at all.
func (s *Stored) HasValidator() bool {
	return s.ETag != ETag{} || !s.LastModified.IsZero()
}
