package main

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"
)

type rueidislockLocker struct{ locker rueidislock.Locker }

// rueidislockContender takes a majority of three keys on its one Redis: its
// default. Its lease is its own default too, because it renews.
func rueidislockContender() contender {
	return contender{
		name: "rueidislock", single: true, renews: true,
		open: func(s setup) (locker, error) { return openRueidislock(s, rueidislock.LockerOption{}) },
	}
}

func rueidislockTuned() contender {
	return contender{
		name: "rueidislock tuned", single: true, renews: true,
		tuning: "KeyMajority 1, NoLoopTracking, TryNextAfter 1 s",
		open: func(s setup) (locker, error) {
			return openRueidislock(s, rueidislock.LockerOption{
				KeyMajority: 1, NoLoopTracking: true, TryNextAfter: time.Second,
			})
		},
	}
}

func openRueidislock(s setup, opt rueidislock.LockerOption) (locker, error) {
	opt.ClientOption = rueidis.ClientOption{InitAddress: []string{strings.TrimPrefix(s.URLs[0], "redis://")}}
	l, err := rueidislock.NewLocker(opt)
	if err != nil {
		return nil, err
	}
	return rueidislockLocker{l}, nil
}

type rueidisLock struct{ cancel context.CancelFunc }

// Release returns when the keys are deleted.
func (l rueidisLock) Release(context.Context) error {
	l.cancel()
	return nil
}

func (r rueidislockLocker) acquire(ctx context.Context, key string) (held, error) {
	_, cancel, err := r.locker.WithContext(ctx, key)
	if err != nil {
		return nil, err
	}
	return rueidisLock{cancel}, nil
}

func (r rueidislockLocker) close() { r.locker.Close() }
