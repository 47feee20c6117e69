package guard

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// response is what a handler answered. Once others may see it nothing in it
// changes but the moment, so it is shared without copies. No slice of the header
// leaves the Guard: see fields.
type response struct {
	status int
	header http.Header // the stored fields, private to the response
	body   []byte
	meta   rfc9111.Stored

	variant []byte // identity under meta.Vary of the request it answers
	policy  cache.Policy

	full   http.Header // all its fields; gone before a response is shared
	live   bool        // already with the client whose request it answers
	reason rfc9111.Reason
	err    error // what the handler returned beside it

	moment atomic.Pointer[moment]
}

// CachePolicy implements cache.Policied.
func (r *response) CachePolicy() cache.Policy { return r.policy }

// CacheSize implements cache.Sized. What is remembered as uncacheable has no
// response.
func (r *response) CacheSize() int {
	if r == nil {
		return 0
	}
	size := len(r.body) + len(r.variant) + 512
	for name, values := range r.header {
		size += len(name) + 128
		for _, value := range values {
			size += len(value) + 32
		}
	}
	return size
}

// recorded is one exchange with the handler, about to be judged.
type recorded struct {
	request  *http.Request // as the client sent it
	names    names
	name     string // of the stored response
	fwd      rfc9111.Fwd
	behind   bool // no client waits for the answer
	begun    time.Time
	waited   bool // for the lock and the store, after it was answered
	status   int
	header   http.Header
	body     []byte
	live     bool // flushed, hijacked or too large
	complete bool // neither that nor cut short
	cookies  bool // set beside the response, by middleware in front
	received time.Time
}

// requested is the time the handler was asked, where that counts: a response
// with an Age has come from elsewhere, and was on its way while the handler ran
// (RFC 9111 §4.2.3); and so was one that had to wait before it could be stored.
func (rec *recorded) requested() (at time.Time) {
	if rec.waited || len(rec.header["Age"]) > 0 {
		at = rec.begun
	}
	return at
}

// takePersonal returns, once, the fields of a response that may be shared which
// are for its own client alone: those its directives withhold, and those of the
// connection.
func (r *response) takePersonal() (personal http.Header) {
	if r.header == nil {
		return nil
	}
	for name, values := range r.full {
		if _, stored := r.header[name]; !stored && name != "Transfer-Encoding" { // the content is whole by now
			if personal == nil {
				personal = http.Header{}
			}
			personal[name] = values
		}
	}
	r.full = nil
	return personal
}

// keepValidated is for how long at least a response with a validator is kept
// after it can no longer be used as it is: a 304 makes it new again.
const keepValidated = time.Minute

// judge makes a response of what was recorded and decides what may become of it.
func (g *Guard) judge(rec *recorded) *response {
	header := rfc9111.Canonical(rec.header)
	if rec.complete {
		header = completed(header, rec)
	}
	meta := g.policy.Describe(rec.status, header, rec.requested(), rec.received)
	resp := &response{status: rec.status, full: header, body: rec.body, meta: meta, live: rec.live}
	if resp.reason = g.refusal(rec, header, &meta); resp.reason != rfc9111.OK {
		resp.policy = cache.Policy{NoStore: true, HitForMiss: g.hitForMiss(rec.status)}
		return resp
	}
	resp.header = rfc9111.StoredHeader(header, &meta)
	resp.variant = resp.meta.Vary.AppendVariant(nil, rec.request)
	resp.policy = g.lifetimes(&meta)
	resp.policy.Tags = g.tags(rec.names, rec.request, header)
	return resp
}

// reasonIncomplete is said of what streamed past the cache, reasonBody of a
// request whose body may have a part in the answer, reasonConnection of one that
// asks a proxy behind the Guard to answer without some of its fields.
const (
	reasonIncomplete rfc9111.Reason = "streamed"
	reasonCutShort   rfc9111.Reason = "cut-short"
	reasonBody       rfc9111.Reason = "request-body"
	reasonOverride   rfc9111.Reason = "method-override"
	reasonConnection rfc9111.Reason = "connection-field"
)

func (g *Guard) refusal(rec *recorded, header http.Header, meta *rfc9111.Stored) rfc9111.Reason {
	switch {
	case rec.live:
		return reasonIncomplete
	case !rec.complete:
		return reasonCutShort
	}
	return g.policy.Refusal(&rfc9111.Exchange{
		Method: rec.request.Method, Request: rec.request.Header, Response: header, Cookies: rec.cookies,
	}, meta)
}

// hitForMiss remembers that a target cannot be cached. A server error says nothing
// about the next response, and nor does one that blames the request or its client:
// otherwise anybody could have what is stored replaced by a mark, by asking badly or
// too often.
func (g *Guard) hitForMiss(status int) time.Duration {
	if status >= 500 || blamesRequest(status) {
		return 0
	}
	return g.HitForMiss
}

// blamesRequest reports the errors that another client's request for the same target
// need not meet.
func blamesRequest(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return false
	}
	return status >= 400 && status < 500
}

// lifetimes are those of the response, less the age it came with. A Guard
// without Fresh runs the handler for everybody who gets the lock: what is fresh
// elsewhere is only good for those who do not.
func (g *Guard) lifetimes(meta *rfc9111.Stored) cache.Policy {
	fresh := max(0, meta.Lifetime-meta.InitialAge)
	late := max(0, meta.InitialAge-meta.Lifetime)
	p := cache.Policy{
		Fresh:        fresh,
		Stale:        max(0, meta.WhileRevalidate-late),
		StaleIfError: max(0, meta.IfError-late),
	}
	if meta.HasValidator() {
		p.StaleIfError = max(p.StaleIfError, fresh, keepValidated)
	}
	if g.Fresh == 0 {
		p = cache.Policy{Stale: p.Fresh + p.Stale, StaleIfError: p.Fresh + p.StaleIfError}
	}
	if serverError(meta.Status) { // it is what others stand in for
		p.Stale, p.StaleIfError = 0, 0
	}
	return p
}

// completed adds what net/http would have added while sending, so that every
// client gets the same: the length, the type it would have guessed, and a
// validator where the handler gave none.
func completed(h http.Header, rec *recorded) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	if bodyAllowed(rec.status) {
		if _, stated := h["Content-Type"]; !stated && len(rec.body) > 0 && h.Get("Content-Encoding") == "" {
			h["Content-Type"] = []string{http.DetectContentType(rec.body)}
		}
		h["Content-Length"] = []string{strconv.Itoa(len(rec.body))}
	}
	if rec.status == http.StatusOK && len(h["Etag"]) == 0 {
		h["Etag"] = []string{entityTag(rec.body)}
	}
	// A coding was chosen for this client, whether or not the handler says so.
	if len(h["Content-Encoding"]) > 0 && !strings.Contains(strings.ToLower(strings.Join(h["Vary"], ",")), "accept-encoding") {
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
	}
	return h
}

// entityTag is a strong validator: two contents share it only if SHA-256 does.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// hasMadeTag reports whether the entity tag is not the handler's own.
func (r *response) hasMadeTag() bool {
	return !r.meta.ETag.Weak && r.meta.ETag.Opaque == entityTag(r.body)
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// late is for how long a response that was fetched so long ago has been stale.
func (r *response) late(since time.Duration) time.Duration {
	_, left := r.ages(since)
	return -left
}

// serves reports whether the response is the one r selects among the variants.
func (r *response) serves(req *http.Request) bool {
	if len(r.meta.Vary.Fields) == 0 {
		return true
	}
	var stack [256]byte
	return bytes.Equal(r.meta.Vary.AppendVariant(stack[:0], req), r.variant)
}
