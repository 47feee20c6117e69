package main

import (
	"context"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

type redislockLocker struct {
	client  *redislock.Client
	clients []*redis.Client
	retry   time.Duration
}

// redislockContender retries as in redislock's documentation: by default it
// does not wait at all.
func redislockContender() contender {
	return contender{
		name: "redislock", single: true,
		tuning: "a retry every 100 ms as its documentation has it; by default it does not wait",
		open:   func(s setup) (locker, error) { return openRedislock(s, 0, 100*time.Millisecond) },
	}
}

func redislockTuned() contender {
	return contender{
		name: "redislock tuned", single: true,
		tuning: "a retry every 5 ms, a pool as large as the number of callers",
		open:   func(s setup) (locker, error) { return openRedislock(s, s.Callers, 5*time.Millisecond) },
	}
}

func openRedislock(s setup, pool int, retry time.Duration) (locker, error) {
	clients, err := goRedisClients(s, pool)
	if err != nil {
		return nil, err
	}
	return redislockLocker{redislock.New(clients[0]), clients, retry}, nil
}

func (r redislockLocker) acquire(ctx context.Context, key string) (held, error) {
	l, err := r.client.Obtain(ctx, key, leaseTTL, &redislock.Options{RetryStrategy: redislock.LinearBackoff(r.retry)})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (r redislockLocker) close() { closeAll(r.clients) }
