package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseTTL is the lease that every library is asked for, so that no lock
// expires within a measurement.
const leaseTTL = 30 * time.Second

var (
	compareAndDelete = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

	errTaken    = errors.New("taken")
	errNotOwner = errors.New("another owner's")
)

// rawLocker is what one writes by hand with go-redis: SET NX PX, and EVALSHA of
// a compare-and-delete; on several nodes a goroutine per node, returning with
// the majority. It has no fencing, no clean-up after a failure, no waiting: it
// is the floor, not a lock to use.
type rawLocker struct{ clients []*redis.Client }

func rawContender() contender {
	return contender{
		name: rawName,
		open: func(s setup) (locker, error) {
			clients, err := goRedisClients(s, 0)
			return rawLocker{clients}, err
		},
	}
}

// goRedisClients has go-redis' default pool when pool is not above it.
func goRedisClients(s setup, pool int) ([]*redis.Client, error) {
	var clients []*redis.Client
	for _, u := range s.URLs {
		opt, err := redis.ParseURL(u)
		if err != nil {
			return nil, err
		}
		client := redis.NewClient(opt)
		if pool > client.Options().PoolSize {
			_ = client.Close()
			opt.PoolSize = pool
			client = redis.NewClient(opt)
		}
		clients = append(clients, client)
	}
	return clients, nil
}

func closeAll(clients []*redis.Client) {
	for _, c := range clients {
		_ = c.Close()
	}
}

func (r rawLocker) close() { closeAll(r.clients) }

type rawLock struct {
	rawLocker
	key string
}

const rawOwner = "0123456789abcdef"

func (r rawLocker) acquire(ctx context.Context, key string) (held, error) {
	err := r.majority(func(c *redis.Client) error {
		err := c.SetArgs(ctx, key, rawOwner, redis.SetArgs{Mode: "NX", TTL: leaseTTL}).Err()
		if errors.Is(err, redis.Nil) {
			return errTaken
		}
		return err
	})
	return rawLock{r, key}, err
}

func (l rawLock) Release(ctx context.Context) error {
	return l.majority(func(c *redis.Client) error {
		n, err := compareAndDelete.Run(ctx, c, []string{l.key}, rawOwner).Int()
		if err == nil && n == 0 {
			return errNotOwner
		}
		return err
	})
}

// majority returns when most clients succeeded, or can no longer.
func (r rawLocker) majority(f func(*redis.Client) error) error {
	if len(r.clients) == 1 {
		return f(r.clients[0])
	}
	done := make(chan error, len(r.clients))
	for _, c := range r.clients {
		go func() { done <- f(c) }()
	}
	need := len(r.clients)/2 + 1
	var failed error
	for yes, no := 0, 0; yes < need; {
		if err := <-done; err == nil {
			yes++
		} else if no, failed = no+1, err; no > len(r.clients)-need {
			return failed
		}
	}
	return nil
}
