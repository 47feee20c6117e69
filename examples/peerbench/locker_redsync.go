package main

import (
	"context"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

type redsyncLocker struct {
	rs      *redsync.Redsync
	clients []*redis.Client
	opts    []redsync.Option
}

func redsyncContender() contender {
	return contender{
		name: redsyncName,
		open: func(s setup) (locker, error) { return openRedsync(s, 0) },
	}
}

func redsyncTuned() contender {
	return contender{
		name:   "redsync tuned",
		tuning: "WithFailFast, a retry every 5 ms, a pool as large as the number of callers",
		open: func(s setup) (locker, error) {
			return openRedsync(s, s.Callers, redsync.WithFailFast(true),
				redsync.WithRetryDelay(5*time.Millisecond), redsync.WithTries(1<<20))
		},
	}
}

func openRedsync(s setup, pool int, opts ...redsync.Option) (locker, error) {
	clients, err := goRedisClients(s, pool)
	if err != nil {
		return nil, err
	}
	var pools []redsyncredis.Pool
	for _, c := range clients {
		pools = append(pools, goredis.NewPool(c))
	}
	return redsyncLocker{redsync.New(pools...), clients, append(opts, redsync.WithExpiry(leaseTTL))}, nil
}

type redsyncLock struct{ *redsync.Mutex }

func (l redsyncLock) Release(ctx context.Context) error {
	_, err := l.UnlockContext(ctx)
	return err
}

func (r redsyncLocker) acquire(ctx context.Context, key string) (held, error) {
	mutex := r.rs.NewMutex(key, r.opts...)
	return redsyncLock{mutex}, mutex.LockContext(ctx)
}

func (r redsyncLocker) close() { closeAll(r.clients) }
