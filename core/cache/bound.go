package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// boundStore holds a Store to its time, also one whose client does not watch
// contexts, and leaves a store that keeps failing to answer alone for a while.
type boundStore struct {
	store   Store
	timeout time.Duration
	logger  *slog.Logger
	pending chan struct{} // one per operation under way, also given-up ones
	silent  atomic.Int32  // operations given up in a row
	retryAt atomic.Int64  // while silent: when the next one may try
}

const (
	maxPending   = 256
	maxSilent    = 3           // operations given up before the store is left alone
	silencePause = time.Second // and for how long
)

func newBoundStore(s Store, timeout time.Duration, logger *slog.Logger) *boundStore {
	return &boundStore{store: s, timeout: timeout, logger: logger, pending: make(chan struct{}, maxPending)}
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
	err := b.do(ctx, func(ctx context.Context) error {
		var err error
		got, err = get(ctx, key)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	return got, nil
}

func (b *boundStore) set(ctx context.Context, key string, it Item) error {
	return b.do(ctx, func(ctx context.Context) error { return b.store.Set(ctx, key, it) })
}

// do runs op for at most the timeout. Its errors are ErrStore, save ErrFenced
// and the end of the caller's own context.
func (b *boundStore) do(ctx context.Context, op func(context.Context) error) error {
	if b.silent.Load() >= maxSilent && !b.probe() {
		return fmt.Errorf("%w: left alone after %d timeouts", ErrStore, maxSilent)
	}
	bounded, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel() // not when op ends: its answer would race with the end of its context
	select {
	case b.pending <- struct{}{}:
	case <-bounded.Done():
		return b.gaveUp(ctx)
	}
	done := make(chan error, 1)
	go b.attempt(bounded, op, done)
	select {
	case err := <-done:
		return b.answered(ctx, err)
	case <-bounded.Done():
		return b.gaveUp(ctx)
	}
}

var errExited = errors.New("the store called runtime.Goexit")

// attempt sends what becomes of op. It runs on a goroutine of the Cache, where
// nobody else could recover from a panic of the Store.
func (b *boundStore) attempt(ctx context.Context, op func(context.Context) error, done chan<- error) {
	err := errExited
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the store panicked: %v", v)
			b.logger.Error("dlm/cache: store panicked", "err", err, "stack", string(debug.Stack()))
		}
		<-b.pending
		done <- err
	}()
	err = insist(ctx, op)
}

// insistPause is how long a client such as a Ring gets to find the way around a
// server that has died.
const insistPause = 20 * time.Millisecond

// insist repeats an operation that met a broken or refused connection until ctx
// is over: what is asked of a Ring belongs to another server a moment later.
func insist(ctx context.Context, op func(context.Context) error) error {
	for {
		err := op(ctx)
		if !broken(err) {
			return err
		}
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
	return errors.Is(err, ErrFenced) || errors.As(err, &answer)
}

// probe lets one caller a pause through.
func (b *boundStore) probe() bool {
	at, due := now(), b.retryAt.Load()
	return at >= due && b.retryAt.CompareAndSwap(due, at+int64(silencePause))
}

func (b *boundStore) answered(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return b.gaveUp(ctx)
	}
	b.silent.Store(0)
	if err == nil || errors.Is(err, ErrFenced) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}

func (b *boundStore) gaveUp(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.silent.Add(1) == maxSilent {
		b.retryAt.Store(now() + int64(silencePause))
	}
	return fmt.Errorf("%w: no answer within %v", ErrStore, b.timeout)
}
