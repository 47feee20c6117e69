package guard

import (
	"context"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
)

// leash is the context of a handler whose response may be shared. It ends with
// the lock the handler runs under, until the response streams to its one client:
// then the lock goes back, nobody waits for the end of a stream, and the context
// ends with the client.
type leash struct {
	lock   context.Context
	client context.Context
	cancel context.CancelCauseFunc
	untie  func() bool
}

func newLeash(lock, client context.Context) (*leash, context.Context) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(lock))
	l := &leash{lock: lock, client: client, cancel: cancel}
	l.tie(lock)
	return l, ctx
}

func (l *leash) tie(to context.Context) {
	l.untie = context.AfterFunc(to, func() { l.cancel(context.Cause(to)) })
}

// slip is called once, by the goroutine that writes the response.
func (l *leash) slip(hitForMiss time.Duration) {
	if l.untie() { // otherwise the lock was lost, and the handler is being told
		l.tie(l.client)
	}
	cache.Decline(l.lock, hitForMiss)
}

// end frees what the context holds once the handler has returned.
func (l *leash) end() {
	l.untie()
	l.cancel(context.Canceled)
}
