package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
)

type dlmLocker struct {
	m    *core.Manager
	opts []core.Option
}

// dlmContender is dlm in its default configuration, but for the longest wait,
// which no measurement is to run into. There is nothing to tune.
func dlmContender() contender {
	return contender{
		name: dlmName, renews: true,
		open: func(s setup) (locker, error) { return openDLM(s) },
	}
}

func openDLM(s setup, opts ...core.Option) (dlmLocker, error) {
	m, err := core.New(core.Config{Nodes: s.URLs, Wait: time.Minute, Logger: quiet})
	return dlmLocker{m, opts}, err
}

// counters are how many fencing counters dlm keeps on a node.
const counters = 1024

// prime has dlm make its fencing counters on the nodes, which it does when one is
// first needed, by a script and in a round trip more: a deployment has them after
// its first minutes, and a measurement must not begin before.
func prime(nodes *coretest.Nodes) error {
	l, err := openDLM(setupFor(nodes, 0))
	if err != nil {
		return err
	}
	defer l.close()
	const callers = 64
	errs := make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			for range 8 * counters / callers {
				if err := once(context.Background(), l); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (d dlmLocker) acquire(ctx context.Context, key string) (held, error) {
	l, err := d.m.Acquire(ctx, key, d.opts...)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (d dlmLocker) close() { _ = d.m.Close() }
