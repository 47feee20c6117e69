package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/redis/go-redis/v9"
)

// boundStore holds a Store to its time, also one whose client does not watch
// contexts, and leaves a store that keeps failing to answer alone for a while; of a
// store on several servers, the server.
type boundStore struct {
	store   Store
	timeout time.Duration
	logger  *slog.Logger
	slots   slots
	silence silence
}

func newBoundStore(s Store, timeout time.Duration, logger *slog.Logger) *boundStore {
	return &boundStore{store: s, timeout: timeout, logger: logger}
}

// divided is a Store on several servers, which fail one by one.
type divided interface {
	// serverFor names the server that a key is on, without asking any.
	serverFor(key string) string
	// reroute has the client find out, by and by, which servers there are.
	reroute()
}

// lost is called where a server does not answer: another may have taken its place.
func (b *boundStore) lost() {
	if d, ok := b.store.(divided); ok {
		d.reroute()
	}
}

// What concerns several servers, or one that no key tells, fares for itself: whose
// fault it is when it times out is not known.
const (
	severalServers = "several"
	tagServers     = "tags"
	newsServers    = "news"
)

// apart is what of a divided store, and the store itself otherwise.
func (b *boundStore) apart(what string) (server string) {
	if _, ok := b.store.(divided); ok {
		return what
	}
	return ""
}

// serverOf is where all of the keys are.
func (b *boundStore) serverOf(keys ...string) (server string) {
	d, ok := b.store.(divided)
	if !ok {
		return ""
	}
	for i, key := range keys {
		at := d.serverFor(key)
		if i > 0 && at != server {
			return severalServers
		}
		server = at
	}
	return server
}

// rechecker is a Store with a Get of fewer commands for those who contend.
type rechecker interface {
	recheck(ctx context.Context, key string) (Item, error)
}

// firmer is a Store some of whose Marks must be made firm before a fetch begins.
type firmer interface {
	isLoose(mark string) bool
	firm(ctx context.Context, key, mark string) (string, error)
}

// firm is a Mark that the next set may be made with.
func (b *boundStore) firm(ctx context.Context, key, mark string) (string, error) {
	f, ok := b.store.(firmer)
	if !ok || !f.isLoose(mark) {
		return mark, nil
	}
	it, err := b.getBy(ctx, key, func(ctx context.Context, key string) (Item, error) {
		firm, err := f.firm(ctx, key, mark)
		return Item{Mark: firm}, err
	})
	return it.Mark, err
}

func (b *boundStore) get(ctx context.Context, key string) (Item, error) {
	return b.getBy(ctx, key, b.store.Get)
}

func (b *boundStore) recheck(ctx context.Context, key string) (Item, error) {
	if r, ok := b.store.(rechecker); ok {
		return b.getBy(ctx, key, r.recheck)
	}
	return b.get(ctx, key)
}

func (b *boundStore) getBy(ctx context.Context, key string, get func(context.Context, string) (Item, error)) (Item, error) {
	var got Item // written by an operation that may outlive this call
	err := b.do(ctx, b.serverOf(key), func(ctx context.Context) error {
		var err error
		got, err = get(ctx, key)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	return got, nil
}

// set stores an item for what is left until it is over: it may have to be sent again.
func (b *boundStore) set(ctx context.Context, key string, it Item, over int64) error {
	return b.do(ctx, b.serverOf(key), func(ctx context.Context) error {
		it := it
		if it.TTL = time.Duration(over - now()); it.TTL < time.Millisecond {
			return ErrFenced
		}
		return b.store.Set(ctx, key, it)
	})
}

func (b *boundStore) delete(ctx context.Context, keys ...string) error {
	return b.do(ctx, b.serverOf(keys...), func(ctx context.Context) error { return b.store.Delete(ctx, keys...) })
}

func (b *boundStore) deleteTags(ctx context.Context, tags ...string) error {
	return b.do(ctx, b.apart(tagServers), func(ctx context.Context) error { return b.store.DeleteTags(ctx, tags...) })
}

// do runs op for at most the timeout. Its errors are ErrStore, save ErrFenced
// and the end of the caller's own context.
func (b *boundStore) do(ctx context.Context, server string, op func(context.Context) error) error {
	if b.silence.keptBy(server) {
		return fmt.Errorf("%w: left alone after %d timeouts", ErrStore, maxSilent)
	}
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel() // not when op ends: its answer would race with the end of its context
	slot := b.slots.of(server)
	select {
	case slot <- struct{}{}:
	case <-bounded.Done():
		return b.unasked(ctx)
	}
	done := make(chan error, 1)
	go b.attempt(bounded, op, slot, done)
	select {
	case err := <-done:
		return b.answered(ctx, server, err)
	case <-bounded.Done():
		return b.gaveUp(ctx, server)
	}
}

var errExited = errors.New("the store called runtime.Goexit")

// attempt sends what becomes of op once it has given the slot back. It runs on a
// goroutine of the Cache, where nobody else could recover from a panic of the Store.
func (b *boundStore) attempt(ctx context.Context, op func(context.Context) error, slot <-chan struct{}, done chan<- error) {
	err := errExited
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panicked: %v", v)
			b.logger.Error("dlm/cache: store panicked", "err", err, "stack", string(debug.Stack()))
		}
		<-slot
		done <- err
	}()
	err = b.insist(ctx, op)
}

// insistPause is how long a client of several servers gets to find the way around
// one that has died.
const insistPause = 20 * time.Millisecond

// insist repeats an operation that met a broken or refused connection until ctx
// is over: what is asked of a Ring, or of a Cluster with replicas, belongs to another
// server a moment later.
func (b *boundStore) insist(ctx context.Context, op func(context.Context) error) error {
	for {
		err := op(ctx)
		if !broken(err) {
			return err
		}
		b.lost()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(insistPause):
		}
	}
}

// broken reports a connection that was refused, ended or timed out: its server is
// most likely dead.
func broken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused reports that the store has answered, if with an error.
func refused(err error) bool {
	var answer redis.Error
	return errors.Is(err, ErrFenced) || errors.Is(err, errNoRoom) || errors.As(err, &answer)
}

func (b *boundStore) answered(ctx context.Context, server string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return b.gaveUp(ctx, server)
	}
	b.silence.answered(server)
	if err == nil || errors.Is(err, ErrFenced) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}

// unasked is for what got no slot in time. It does not count as a timeout of the
// server, which was sent nothing.
func (b *boundStore) unasked(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %d operations under way for %v", ErrStore, maxPending, b.timeout)
}

func (b *boundStore) gaveUp(ctx context.Context, server string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.silence.timedOut(server)
	b.lost()
	return fmt.Errorf("%w: no answer within %v", ErrStore, b.timeout)
}
