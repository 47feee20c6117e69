package cache

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// On a Cluster the tag epoch is on one master. Entries without tags need it neither
// to be believed nor to be stored, so that only what has tags is missing while that
// master does not answer. What a process remembers of the epoch would not do for
// the others: a purge that was confirmed to somebody else, by the replica that has
// taken the master's place, would be missed.

// epochs is how the master of the tag epoch is asked.
type epochs struct {
	askAt   atomic.Int64  // it did not answer: when it is asked next; 0: it did
	unheard atomic.Int32  // questions in a row that it did not answer
	asking  chan struct{} // one per question under way, also given-up ones
}

var errNoEpoch = errors.New("the master of the tags does not answer")

// mayAsk lets one in a pause through to a master that did not answer.
func (e *epochs) mayAsk() bool {
	at := e.askAt.Load()
	return at == 0 || now() >= at && e.askAt.CompareAndSwap(at, now()+int64(silencePause))
}

// mayInsist is mayAsk for an entry with tags, which is missing without the epoch: one
// question that was lost is no reason, only as many as have any server left alone.
func (e *epochs) mayInsist() bool { return e.unheard.Load() < maxSilent || e.mayAsk() }

// heard notes how a question ended.
func (e *epochs) heard(err error) {
	if err != nil {
		e.unheard.Add(1)
		e.askAt.Store(now() + int64(silencePause))
	} else if e.askAt.Load() != 0 {
		e.unheard.Store(0)
		e.askAt.Store(0)
	}
}

// halfOf is ctx with half of the time that it has left.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ends := ctx.Deadline()
	if !ends {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// readApart is read where the epoch is on another server: 0 for an epoch that half
// of the time was not enough to hear of.
func (p *place) readApart(ctx context.Context, entry, genKey string) (replica, error) {
	patient, cancel := halfOf(ctx)
	defer cancel()
	var word <-chan epochWord
	if p.r.epochs.mayAsk() {
		word = p.askEpoch(patient)
	}
	var (
		values *redis.SliceCmd
		ttl    *redis.DurationCmd
	)
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		ttl, values = pipe.PTTL(ctx, entry), pipe.MGet(ctx, entry, genKey)
		return nil
	})
	if err != nil {
		return replica{}, err
	}
	got := texts(values.Val(), 2)
	mark := redisMark{gen: got[1]}
	if word != nil {
		mark.epoch, _ = p.epochFrom(patient, word)
	}
	return replicaOf(got[0], mark, ttl.Val()), ctx.Err()
}

// epochOf is the epoch for an entry with tags, in half of the time that is left: the
// rest is for saying that there is none. While its master is left alone it takes none.
func (p *place) epochOf(ctx context.Context) (uint64, error) {
	if !p.r.epochs.mayInsist() {
		return 0, errNoEpoch
	}
	patient, cancel := halfOf(ctx)
	defer cancel()
	return p.epochFrom(patient, p.askEpoch(patient))
}

// epochWord is an answer of the master that has the epoch.
type epochWord struct {
	epoch uint64
	err   error
}

// askEpoch asks from a goroutine, which ends with ctx or, where the client does not
// heed that, with the client's own timeouts.
func (p *place) askEpoch(ctx context.Context) <-chan epochWord {
	word := make(chan epochWord, 1)
	select {
	case p.r.epochs.asking <- struct{}{}:
	default:
		word <- epochWord{err: errNoEpoch}
		return word
	}
	go func() {
		defer func() { <-p.r.epochs.asking }()
		_, epochKey := p.r.tagNames()
		text, err := p.client.Get(ctx, epochKey).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			word <- epochWord{err: err}
			return
		}
		epoch, _ := strconv.ParseUint(text, 10, 64) // 0 for none, and for what nobody here wrote
		if err = nil; epoch == 0 {
			epoch, err = p.firstEpoch(ctx)
		}
		word <- epochWord{epoch, err}
	}()
	return word
}

func (p *place) epochFrom(ctx context.Context, word <-chan epochWord) (epoch uint64, err error) {
	select {
	case w := <-word:
		epoch, err = w.epoch, w.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !errors.Is(err, context.Canceled) { // whoever asked has gone, and the master is not to blame
		p.r.epochs.heard(err)
	}
	if err != nil {
		return 0, errNoEpoch // and not its cause, which must not look like that of the entry's own server
	}
	return epoch, nil
}
