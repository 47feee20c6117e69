package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// hotJob has the callers of one process fight for one key, or take one each.
type hotJob struct {
	Contender string
	Setup     setup
	Key       string
	Distinct  bool // a key of its own for every acquisition instead
	Hold      time.Duration
	For       time.Duration
}

// turn is one acquisition, in nanoseconds of the machine's clock, which all
// processes share. Granted is read after the lock was given, Done before it is
// given back, so turns that overlap are two holders at once.
type turn struct {
	Caller               int
	Asked, Granted, Done int64
}

// hotResult is what one process saw.
type hotResult struct {
	Turns   []turn
	Pending []turn // waits that the end cut short; neither granted nor done
	CPU     time.Duration
}

func (j *hotJob) prepare() (work, error) {
	c, ok := contenderNamed(j.Contender)
	if !ok {
		return nil, fmt.Errorf("no contender %q", j.Contender)
	}
	l, err := c.open(j.Setup)
	if err != nil {
		return nil, err
	}
	if err := warm(l, j.Setup.Callers); err != nil {
		return nil, err
	}
	return func() (any, error) { return j.run(l), nil }, nil
}

// warm opens connections and loads scripts, on keys of nobody else.
func warm(l locker, callers int) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	errs := make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			h, err := l.acquire(ctx, fmt.Sprintf("warm:%d:%d", os.Getpid(), i))
			if err == nil {
				err = h.Release(ctx)
			}
			errs[i] = err
		})
	}
	wait.Wait()
	return errs[0]
}

func (j *hotJob) run(l locker) hotResult {
	ctx, cancel := context.WithTimeout(context.Background(), j.For)
	defer cancel()
	var (
		cpu    = ownCPU()
		result hotResult
		mu     sync.Mutex // guards result
		wait   sync.WaitGroup
	)
	for i := range j.Setup.Callers {
		wait.Go(func() {
			turns, pending := j.caller(ctx, l, os.Getpid()<<10+i)
			mu.Lock()
			defer mu.Unlock()
			result.Turns = append(result.Turns, turns...)
			result.Pending = append(result.Pending, pending)
		})
	}
	wait.Wait()
	result.CPU = ownCPU() - cpu
	return result
}

// caller takes its turns until ctx ends.
func (j *hotJob) caller(ctx context.Context, l locker, id int) (turns []turn, pending turn) {
	t := turn{Caller: id, Asked: time.Now().UnixNano()}
	for ctx.Err() == nil {
		h, err := l.acquire(ctx, j.key(id, len(turns)))
		if err != nil {
			continue // out of retries: it still waits
		}
		t.Granted = time.Now().UnixNano()
		if j.Hold > 0 {
			time.Sleep(j.Hold)
		}
		t.Done = time.Now().UnixNano()
		turns = append(turns, t)
		release(h)
		t = turn{Caller: id, Asked: time.Now().UnixNano()}
	}
	return turns, t
}

func (j *hotJob) key(caller, turn int) string {
	if j.Distinct {
		return fmt.Sprintf("%s:%d:%d", j.Key, caller, turn)
	}
	return j.Key
}

// release gives back also when the caller's time is over.
func release(h held) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = h.Release(ctx)
}
