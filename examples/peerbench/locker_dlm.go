package main

import (
	"context"
	"time"

	"github.com/market-intel-brain/dlm/core"
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

func (d dlmLocker) acquire(ctx context.Context, key string) (held, error) {
	l, err := d.m.Acquire(ctx, key, d.opts...)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (d dlmLocker) close() { _ = d.m.Close() }
