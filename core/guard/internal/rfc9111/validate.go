package rfc9111

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// Precondition is what comes of a request's conditional fields.
type Precondition uint8

const (
	// Proceed: answer as if there were none.
	Proceed Precondition = iota
	// NotModified: 304, with the fields SetNotModified leaves.
	NotModified
)

// Evaluate applies the conditional fields that are for caches to the stored
// response (RFC 9111 §4.3.2): If-None-Match, or without it If-Modified-Since.
// A cache has nothing to say about If-Match and If-Unmodified-Since; see
// Policy.Bypass. h belongs to a GET or HEAD.
func (s *Stored) Evaluate(h http.Header) Precondition {
	if s.Status != http.StatusOK {
		return Proceed // RFC 9110 §13.2.1, RFC 9111 §4.3.2
	}
	if lines := h["If-None-Match"]; len(lines) > 0 {
		if anyETag(lines, s.ETag.WeakEqual) {
			return NotModified
		}
		return Proceed
	}
	if s.unmodifiedSince(h["If-Modified-Since"]) {
		return NotModified
	}
	return Proceed
}

// unmodifiedSince falls back from Last-Modified to Date, which Describe sets
// to the time of receipt where there is none (RFC 9111 §4.3.2).
func (s *Stored) unmodifiedSince(lines []string) bool {
	since, ok := singleDate(lines, s.ReceivedAt)
	if !ok {
		return false
	}
	modified := s.LastModified
	if modified.IsZero() {
		modified = s.Date
	}
	return !modified.Truncate(time.Second).After(since)
}

// RangeApplies evaluates If-Range (RFC 9110 §13.1.5): with an entity tag by
// strong comparison, with a date by equality to a Last-Modified that is strong
// because Date is at least a second later (§8.8.2.2). Otherwise Range is to be
// ignored. Without If-Range it applies.
func (s *Stored) RangeApplies(h http.Header) bool {
	lines := h["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	if tag, ok := ParseETag(lines[0]); ok {
		return s.ETag.StrongEqual(tag)
	}
	at, ok := ParseDate(lines[0], s.ReceivedAt)
	return ok && !s.LastModified.IsZero() && s.LastModified.Equal(at) && s.Date.Sub(s.LastModified) >= time.Second
}

// SetNotModified turns the stored fields in h into those of a 304: what
// describes content that is not sent goes, and so does Last-Modified where there
// is an ETag to go by (RFC 9110 §15.4.5).
func SetNotModified(h http.Header) {
	for name := range h {
		if describesContent(name) {
			delete(h, name)
		}
	}
	if len(h["Etag"]) > 0 {
		delete(h, "Last-Modified")
	}
}

// Revalidation turns the fields of a request into those of a request that
// validates s (RFC 9111 §4.3.1): the client's own preconditions and Range give
// way to the validators of s. The result is a copy.
func (s *Stored) Revalidation(request http.Header) http.Header {
	h := request.Clone()
	if h == nil {
		h = http.Header{}
	}
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		delete(h, name)
	}
	if s.ETag.Opaque != "" {
		h["If-None-Match"] = []string{s.ETag.String()}
	}
	if !s.LastModified.IsZero() {
		h["If-Modified-Since"] = []string{string(AppendDate(nil, s.LastModified))}
	}
	return h
}

// Confirms reports whether a 304 is about s (RFC 9111 §4.3.4): a strong
// validator in it must be the same in s, a weak one must match, and without
// any it can only be about a response it was asked about.
func (s *Stored) Confirms(notModified http.Header) bool {
	if lines := notModified["Etag"]; len(lines) > 0 {
		tag, ok := ParseETag(lines[0])
		if !ok || len(lines) > 1 {
			return false
		}
		if !tag.Weak {
			return tag == s.ETag
		}
		return tag.WeakEqual(s.ETag)
	}
	if lines := notModified["Last-Modified"]; len(lines) > 0 {
		modified, ok := singleDate(lines, s.ReceivedAt)
		return ok && modified.Equal(s.LastModified)
	}
	return s.HasValidator()
}

// ConfirmsHead reports whether the response to a HEAD is about s and may
// freshen it; if not, s is out of date (RFC 9111 §4.3.5). length is the length
// of the stored content.
func (s *Stored) ConfirmsHead(status int, head http.Header, length int64) bool {
	if status != http.StatusOK || s.Status != http.StatusOK {
		return false
	}
	if lines := head["Content-Length"]; len(lines) > 0 {
		if n, ok := parseInt(lines[0]); !ok || n != length {
			return false
		}
	}
	if len(head["Etag"]) == 0 && len(head["Last-Modified"]) == 0 {
		return false
	}
	return s.Confirms(head)
}

// Freshen updates stored fields from a 304, or a HEAD's 200, that confirms
// them: every field in it replaces the stored one of that name (RFC 9111 §3.2),
// except those of the connection and those that describe the stored content's
// very bytes. Whether the result may be stored is to be asked anew: the 304 may
// say no-store or set a cookie.
func Freshen(stored, update http.Header) http.Header {
	merged := make(http.Header, len(stored)+len(update))
	maps.Copy(merged, stored.Clone())
	delete(merged, "Age") // of the transfer before; a new one comes with update
	connection := connectionOptions(update)
	for name, values := range update {
		if !describesBytes(name) && !perConnection(name) && !slices.Contains(connection, name) {
			merged[name] = slices.Clone(values)
		}
	}
	if len(update["Date"]) == 0 {
		delete(merged, "Date") // StoredHeader sets the time of receipt
	}
	return merged
}

// describesBytes names the fields about the stored content as it is; they stay
// as long as it does.
func describesBytes(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Content-Range", "Content-Md5", "Content-Digest":
		return true
	}
	return false
}

func describesContent(name string) bool {
	return describesBytes(name) || name == "Content-Type" || name == "Content-Language" || name == "Repr-Digest"
}
