package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// quiet is a logger for libraries whose complaints the tables already count.
var quiet = slog.New(slog.DiscardHandler)

func init() { redis.SetLogger(silence{}) }

// silence is quiet for go-redis.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// warmUp has connections opened and scripts loaded: hundreds of connections
// take a while.
const warmUp = 100 * time.Millisecond

// bench is how much is measured.
type bench struct {
	rounds int
	slice  time.Duration // of one contender in one round, for distinct keys
	hot    time.Duration // the same for the hot key
	fault  time.Duration // with a faulty node
	held   time.Duration // how long many locks are held and renewed
	many   int           // how many
}

func fullBench(rounds int) bench {
	return bench{
		rounds: rounds, slice: 80 * time.Millisecond, hot: 3 * time.Second,
		fault: 2 * time.Second, held: 6 * time.Second, many: 1000,
	}
}

func quickBench(rounds int) bench {
	return bench{
		rounds: min(rounds, 2), slice: 40 * time.Millisecond, hot: 500 * time.Millisecond,
		fault: 500 * time.Millisecond, held: 3 * time.Second, many: 100,
	}
}

// interleave calls each of n in turn, A B C D B C D A, so that what else the
// machine does hits all alike; every round begins with another one, so that
// none is always the first.
func interleave(rounds, n int, call func(i int) error) error {
	for round := range rounds {
		for i := range n {
			if err := call((i + round) % n); err != nil {
				return err
			}
		}
	}
	return nil
}
