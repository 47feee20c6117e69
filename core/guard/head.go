package guard

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// head is what the handler answered to a HEAD.
type head struct {
	status  int
	header  http.Header // nil: nothing that has fields
	begun   time.Time
	cookies bool // set beside it, by middleware in front
}

// learn compares what answers a HEAD with the stored response that it would have
// selected (RFC 9111 §4.3.5): one that disagrees shows that this is out of date, one
// that agrees makes it new.
func (x *exchange) learn(said *head) {
	if x.r.Method != http.MethodHead || said.status != http.StatusOK || said.header == nil {
		return
	}
	said.header = rfc9111.Canonical(said.header)
	switch {
	case x.old.Value.disagrees(said.header):
		x.outdated()
	case x.Fresh > 0 && x.old.Value.confirmedBy(said):
		x.freshen(said)
	}
}

func (x *exchange) outdated() {
	if err := x.cache.Invalidate(context.WithoutCancel(x.r.Context()), x.name); err != nil {
		x.Logger.Warn("dlm: stored response not purged that a HEAD has shown to be out of date", "route", x.r.Pattern, "err", err)
	}
}

// disagrees reports whether head, the fields of a 200 to a HEAD, is about another
// representation: any validator or length it has must be that of the stored one.
// A tag that the Guard made says nothing about the handler's.
func (r *response) disagrees(head http.Header) bool {
	for _, name := range [...]string{"Etag", "Last-Modified", "Content-Length"} {
		if values := head[name]; len(values) > 0 && !slices.Equal(values, r.header[name]) && (name != "Etag" || !r.hasMadeTag()) {
			return true
		}
	}
	return false
}

func (r *response) confirmedBy(said *head) bool {
	return !r.meta.ReceivedAt.After(said.begun) && r.meta.ConfirmsHead(said.status, said.header, int64(len(r.body)))
}

// errOutrun: what a HEAD was about is gone, or has been made anew since.
var errOutrun = errors.New("guard: the stored response is another one by now")

// freshen merges the fields into what is stored, as a 304 would. It waits for
// nobody: who has the lock makes the response anew, and an outage leaves it alone.
func (x *exchange) freshen(said *head) {
	get := x.r.WithContext(context.WithoutCancel(x.r.Context()))
	get.Method = http.MethodGet
	_, _ = x.cache.Do(get.Context(), cache.Call[*response]{
		Key: x.name, Lock: x.lockOf(), Inline: true, Wait: -1, Force: true,
		Fetch: func(ctx context.Context) (*response, error) {
			old, ok := x.cache.Peek(ctx, x.name)
			if !ok || !old.Value.serves(get) || !old.Value.confirmedBy(said) {
				return nil, errOutrun
			}
			resp := x.judge(&recorded{
				request: get, names: x.names, name: x.name, begun: said.begun, received: x.now(), waited: true,
				status: old.Value.status, header: rfc9111.Freshen(old.Value.header, said.header), body: old.Value.body, complete: true, cookies: said.cookies,
			})
			resp.takePersonal() // there is no client to have it
			return resp, nil
		},
	})
}
