package guard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// Idempotent makes a Guard honor the Idempotency-Key field of POST and PATCH
// (draft-ietf-httpapi-idempotency-key-header): for each key, principal and route
// the handler runs once, and whoever repeats the request gets the response
// again, from any process that shares the store. While it runs a repetition is
// 409 Conflict; one with another payload or target is 422.
//
// The handler is not told when its client goes away, so that the client, which
// cannot know what became of its request, finds the response when it asks again.
//
// A response that could not be kept (5xx, streamed, over MaxBody) leaves the key
// unused: its repetition runs the handler. So does a refusal of the Guard's own.
type Idempotent struct {
	// Required refuses requests without the field with 400. Default: they run as
	// without Idempotent.
	Required bool
	// Keep is for how long a response is repeated. Default 24h.
	Keep time.Duration
	// Principal says who asks, so that nobody gets another one's response by
	// guessing a key. Default: the Authorization field. Set it where sessions are
	// kept otherwise, as in cookies.
	Principal func(*http.Request) (string, error)
}

// Why a request with, or without, an Idempotency-Key is refused.
var (
	ErrIdempotencyMissing  = errors.New("guard: the request has no Idempotency-Key")
	ErrIdempotencyInvalid  = errors.New("guard: the Idempotency-Key is not one string of 1 to 255 printable characters")
	ErrIdempotencyMismatch = errors.New("guard: the Idempotency-Key was used for another request")
	ErrIdempotencyRunning  = errors.New("guard: a request with this Idempotency-Key is under way")
	ErrBodyTooLarge        = errors.New("guard: the body is too large to be compared; raise ReadAhead")
)

const (
	defaultKeep       = 24 * time.Hour
	maxIdempotencyKey = 255
)

func authorizationOf(r *http.Request) (string, error) { return r.Header.Get("Authorization"), nil }

// openReplays opens the store of responses to be repeated. What cannot be kept
// safely must not run: it fails closed.
func (g *Guard) openReplays() (err error) {
	cfg := g.cacheConfig("idem:")
	cfg.Fresh, cfg.OnLockFailure, cfg.OnStoreFailure = g.Idempotent.Keep, cache.FailClosed, cache.FailClosed
	g.replays, err = cache.New[*response](cfg)
	return err
}

// idempotent runs next at most once for r's Idempotency-Key, and reports false
// for a request that has none and needs none.
func (g *Guard) idempotent(w http.ResponseWriter, r *http.Request, next handler) (bool, error) {
	if r.Method != http.MethodPost && r.Method != http.MethodPatch {
		return false, nil
	}
	lines := r.Header["Idempotency-Key"]
	if len(lines) == 0 && !g.Idempotent.Required {
		return false, nil
	}
	key, err := idempotencyKey(lines)
	if err != nil {
		return true, &Refusal{Status: http.StatusBadRequest, Err: err}
	}
	principal, err := g.Idempotent.Principal(r)
	if err != nil {
		return true, g.refuseKey(r, err)
	}
	r, print, err := g.fingerprint(r)
	switch {
	case errors.Is(err, errBodyRead):
		return true, g.refuseKey(r, err)
	case err != nil:
		return true, &Refusal{Status: http.StatusRequestEntityTooLarge, Err: err}
	}
	return true, g.once(w, r, g.replayName(r, principal, key), print, next)
}

// idempotencyKey reads a structured string, or the bare value that many clients
// send in its place. A bare value has neither quotes nor commas: those are of a string
// that is malformed, or of a list, which is also what proxies make of a repeated field
// (draft-ietf-httpapi-idempotency-key-header-07 §2.1).
func idempotencyKey(lines []string) (string, error) {
	switch len(lines) {
	case 0:
		return "", ErrIdempotencyMissing
	case 1:
	default:
		return "", ErrIdempotencyInvalid
	}
	key := lines[0]
	if strings.ContainsAny(key, `",`) {
		item, err := httpsfv.UnmarshalItem(lines)
		text, ok := item.Value.(string)
		if err != nil || !ok {
			return "", ErrIdempotencyInvalid
		}
		key = text
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return "", ErrIdempotencyInvalid
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", ErrIdempotencyInvalid
		}
	}
	return key, nil
}

// replayName keeps the principal, which may be a credential, out of Redis.
func (g *Guard) replayName(r *http.Request, principal, key string) string {
	sum := sha256.Sum256([]byte(principal))
	name := appendField([]byte("idempotent|"), g.Namespace)
	name = appendField(name, r.Method)
	name = appendField(name, string(appendRoute(nil, r.Pattern)))
	name = append(name, sum[:]...)
	return string(append(name, key...))
}

// once answers with the response kept under name, or by next.
func (g *Guard) once(w http.ResponseWriter, r *http.Request, name string, print []byte, next handler) error {
	var (
		own        *response
		handlerErr error
	)
	res, err := g.replays.Do(context.WithoutCancel(r.Context()), cache.Call[*response]{
		Key: name, Lock: name, Serial: true, Inline: true, Wait: -1,
		Contention: cache.FreshFirst, // who has the lock may be but repeating what is kept
		Fetch: func(ctx context.Context) (*response, error) {
			rec, writer := newRecorder(w, r, g.MaxBody)
			handlerErr = next(writer, r.WithContext(ctx))
			if refusal := (*Refusal)(nil); errors.As(handlerErr, &refusal) && !rec.live {
				return nil, handlerErr // not what the handler answers
			}
			if rec.unanswered(ctx, handlerErr) {
				own = rec.left(handlerErr)
				return own, nil
			}
			rec.failing(handlerErr)
			own = g.keepable(rec, print)
			return own, nil
		},
	})
	refusal := (*Refusal)(nil)
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.Is(err, core.ErrNotAcquired):
		return &Refusal{Status: http.StatusConflict, RetryAfter: retrySoon, Err: errors.Join(ErrIdempotencyRunning, err)}
	case err != nil:
		return g.refuseLock(r, err)
	case own == nil && subtle.ConstantTimeCompare(res.Value.variant, print) == 0:
		return &Refusal{Status: http.StatusUnprocessableEntity, Err: ErrIdempotencyMismatch}
	case own != nil && own.live:
		return handlerErr
	case own != nil && own.reason == reasonUnanswered:
		addHeader(w.Header(), own.full)
		return handlerErr
	}
	header := res.Value.header
	if own == nil {
		header = repeated(header)
	}
	fields := fieldsOf(header)
	fields.copyTo(w.Header())
	send(w, r, res.Value)
	return handlerErr
}

// repeated are the fields of a repetition: what caches have done with the first request
// they have not done with this one.
func repeated(header http.Header) http.Header {
	header = maps.Clone(header)
	delete(header, "Cache-Status")
	header["Idempotency-Replayed"] = []string{"true"}
	return header
}

// keepable is the recorded response, to be kept if it is whole, the handler's, and
// no server error. It belongs to one principal, so it is kept with all its fields, cookies
// included, whatever it says to caches.
func (g *Guard) keepable(rec *recorder, print []byte) *response {
	complete := rec.finish()
	resp := &response{status: rec.status, body: rec.body, variant: print, live: rec.live}
	resp.meta.ReceivedAt = g.now()
	resp.header = rfc9111.StoredHeader(rfc9111.Canonical(rec.sent), &resp.meta)
	resp.policy = cache.Policy{Fresh: g.Idempotent.Keep, NoStore: !complete || rec.refused || rec.status >= 500}
	return resp
}
