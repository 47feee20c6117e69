package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Routed sends through a go-redis client that knows the way to the right
// server of several, as that of a Cluster does. One batch is under way at a time, so the order is
// kept; what comes meanwhile makes the next batch. The client's own timeouts
// and retries bound a batch, not its senders, who are refused while it hangs.
type Routed struct {
	client redis.UniversalClient
	kick   chan struct{}
	stop   context.CancelFunc
	ends   sync.WaitGroup

	mu     sync.Mutex
	queue  []flight  // guarded by mu
	since  time.Time // of the batch under way; zero: none. Guarded by mu
	closed bool      // guarded by mu

	commands atomic.Uint64
}

// routedPatience is how long a batch may hang before senders are refused.
const routedPatience = 500 * time.Millisecond

// NewRouted sends through client, which stays the caller's to close.
func NewRouted(client redis.UniversalClient) *Routed {
	return &Routed{client: client, kick: make(chan struct{}, 1), stop: func() {}}
}

// Start begins to send.
func (r *Routed) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.ends.Go(func() { r.run(ctx) })
}

// Commands is how many calls were answered, or ended in an error of the client.
func (r *Routed) Commands() uint64 { return r.commands.Load() }

// Send queues the call for the next batch.
func (r *Routed) Send(now time.Time, c Call) {
	r.mu.Lock()
	err := r.refusal(now, c.Force)
	if err == nil {
		r.queue = append(r.queue, flight{call: c, at: now})
	}
	r.mu.Unlock()
	if err != nil {
		c.To.Receive(c.Node, Reply{Err: &notSent{err}})
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// refusal says why a call must not be sent. mu is held.
func (r *Routed) refusal(now time.Time, force bool) error {
	limit := maxInFlight
	if force {
		limit *= 2
	}
	switch silent := now.Sub(r.since); {
	case r.closed:
		return ErrClosed
	case len(r.queue) >= limit:
		return errSaturated
	case !force && !r.since.IsZero() && silent > routedPatience:
		return &SilentError{For: silent}
	}
	return nil
}

func (r *Routed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.kick:
		}
		r.mu.Lock()
		batch := r.queue
		r.queue, r.since = nil, time.Now()
		r.mu.Unlock()
		forgotten := r.pipeline(ctx, batch, false)
		r.pipeline(ctx, forgotten, true)
		r.mu.Lock()
		r.since = time.Time{}
		r.mu.Unlock()
	}
}

// pipeline executes a batch, and returns the runs whose scripts the servers have
// forgotten: they are to be sent whole.
func (r *Routed) pipeline(ctx context.Context, batch []flight, whole bool) (forgotten []flight) {
	if batch = withoutAbandoned(batch); len(batch) == 0 {
		return nil
	}
	pipe := r.client.Pipeline()
	cmds := make([]*redis.Cmd, len(batch))
	for i, f := range batch {
		cmds[i] = queueRun(ctx, pipe, f.call, whole)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, f := range batch {
		reply := replyOf(cmds[i])
		if !whole && scriptForgotten(&reply) {
			forgotten = append(forgotten, f)
			continue
		}
		r.commands.Add(1)
		f.call.To.Receive(f.call.Node, reply)
	}
	return forgotten
}

// withoutAbandoned tells the calls that were given up before they were executed.
func withoutAbandoned(batch []flight) []flight {
	return slices.DeleteFunc(batch, func(f flight) bool {
		given := f.call.abandoned()
		if given {
			f.call.To.Receive(f.call.Node, Reply{Err: &notSent{ErrAbandoned}})
		}
		return given
	})
}

func queueRun(ctx context.Context, pipe redis.Pipeliner, call Call, whole bool) *redis.Cmd {
	req := call.Req
	args := make([]any, 0, len(req.Args)+1)
	for _, a := range req.Args {
		args = append(args, a)
	}
	if call.Tail.Arg != "" {
		args = append(args, call.Tail.Arg)
	}
	if whole {
		return pipe.Eval(ctx, req.Script.source, req.Keys, args...)
	}
	return pipe.EvalSha(ctx, req.Script.sha, req.Keys, args...)
}

func replyOf(cmd *redis.Cmd) Reply {
	v, err := cmd.Result()
	var server redis.Error
	switch {
	case errors.Is(err, redis.Nil):
		return Reply{}
	case errors.As(err, &server):
		return Reply{Err: ServerError(server.Error())}
	case err != nil:
		return Reply{Err: err}
	}
	return replyValue(v)
}

func replyValue(v any) Reply {
	switch v := v.(type) {
	case nil:
		return Reply{}
	case int64:
		return Reply{Int: v}
	case string:
		return Reply{Text: v}
	case []any:
		items := make([]Reply, len(v))
		for i := range v {
			items[i] = replyValue(v[i])
		}
		return Reply{Items: items}
	}
	return Reply{Err: fmt.Errorf("%w: %T", errProtocol, v)}
}

// Close ends the sender when the batch under way is over; what is queued fails.
func (r *Routed) Close(time.Duration) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.ends.Wait()
	r.mu.Lock()
	left := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, f := range left {
		f.call.To.Receive(f.call.Node, Reply{Err: ErrClosed})
	}
}
