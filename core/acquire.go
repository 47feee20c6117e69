package core

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

// Acquire takes the lock, waiting for its holder up to Wait, the context's
// deadline, or the last retry, whichever is first. The lock's Context is a
// child of ctx.
//
// ErrTimeout (also ErrNotAcquired): the holder kept it. ErrNoQuorum: too few
// nodes answered. ErrDeadlock: ctx runs under a lock whose holder could not go
// on. ErrInvalid, ErrClosed.
func (m *Manager) Acquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	return m.acquire(ctx, key, false, opts)
}

// TryAcquire is Acquire without the wait: one round decides.
func (m *Manager) TryAcquire(ctx context.Context, key string, opts ...Option) (*Lock, error) {
	return m.acquire(ctx, key, true, opts)
}

// Do runs fn under the lock, renewed for as long as fn runs, MaxHold at most.
// fn's context carries the lock and is cancelled when the lock is lost; fn must
// return then. The lock is released whatever fn does, also when it panics. When
// fn fails, its error is returned as it is; when only the release fails, that is.
// Once ctx is done the nodes have a moment to confirm the release, which is
// ErrNotReleased otherwise.
func (m *Manager) Do(ctx context.Context, key string, fn func(context.Context) error, opts ...Option) (err error) {
	l, err := m.acquire(ctx, key, false, append([]Option{WithAutoRenew()}, opts...))
	if err != nil {
		return err
	}
	defer func() {
		if released := l.releaseBy(ctx); err == nil {
			err = released
		}
	}()
	return fn(l.Context())
}

func (m *Manager) acquire(ctx context.Context, key string, once bool, opts []Option) (*Lock, error) {
	w := m.newWaiter(ctx)
	defer m.retire(w)
	m.apply(opts, &w.set)
	w.once, w.end = once || w.set.Wait == 0, w.start.Add(w.set.Wait)
	w.chain, _ = FromContext(ctx)
	if err := m.admit(ctx, key, w); err != nil {
		return nil, m.refuse(ctx, key, w, err)
	}
	g, stands, err := m.enter(w, key)
	if err != nil {
		return nil, m.refuse(ctx, key, w, err)
	}
	defer m.calls.Done()
	l, err := m.take(ctx, g, w, stands)
	if err != nil {
		return nil, m.refuse(ctx, key, w, err)
	}
	m.acquired(l, w)
	return l, nil
}

// apply sets s to the Manager's defaults with the options' changes.
func (m *Manager) apply(opts []Option, s *settings) {
	*s = m.defaults
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	if !s.MaxHoldSet && s.MaxHold == 0 {
		s.MaxHold = maxHoldFactor * min(max(s.TTL, 0), math.MaxInt64/maxHoldFactor)
	}
}

// admit refuses what must not send a command.
func (m *Manager) admit(ctx context.Context, key string, w *waiter) error {
	if key == "" {
		return errEmptyKey
	}
	if err := validate(&w.set, m.cfg.DriftFactor); err != nil {
		return err
	}
	if m.heldBy(w.chain, key) {
		return ErrDeadlock
	}
	return contextError(ctx)
}

// take gets the lock: alone at the gate by standing in Redis, otherwise by
// waiting for a turn.
func (m *Manager) take(ctx context.Context, g *gate, w *waiter, stands bool) (*Lock, error) {
	if stands {
		return m.stand(ctx, g, w, turn{stand: true})
	}
	defer m.settled(g, w)
	m.observe(ctx, Event{Kind: EventWaiting, Key: g.key, Time: time.Now()})
	t, err := m.queue(ctx, g, w)
	switch {
	case err != nil:
		return nil, err
	case t.stand && !w.once && !time.Now().Before(w.end): // the turn came with the end of the wait
		m.stepDown(g)
		return nil, m.whyNot(g, w, ErrTimeout)
	case t.stand:
		return m.stand(ctx, g, w, t)
	}
	return t.lock, t.err
}

// queue waits for the turn.
func (m *Manager) queue(ctx context.Context, g *gate, w *waiter) (turn, error) {
	var late <-chan time.Time
	if !w.once {
		timer := m.timers.get(time.Until(w.end))
		defer m.timers.put(timer)
		late = timer.C
	}
	var reason error
	select {
	case t := <-w.turns:
		return t, nil
	case <-late:
		reason = ErrTimeout
	case <-ctx.Done():
		reason = contextError(ctx)
	case <-m.closing:
		reason = ErrClosed
	}
	if t, came := m.leave(g, w); came {
		m.passOn(g, t)
	}
	return turn{}, m.whyNot(g, w, reason)
}

// passOn gives the turn of a caller that has left to the next. It waits for
// nothing: that caller's time is over.
func (m *Manager) passOn(g *gate, t turn) {
	switch {
	case t.lock != nil:
		m.decline(t.lock)
	case t.stand:
		m.stepDown(g)
	}
}

// whyNot adds the outage that the standing caller met, if any.
func (m *Manager) whyNot(g *gate, w *waiter, reason error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := g.last
	o.contention = o.contention || g.holder != nil
	if !o.contention && o.err == nil { // the standing caller's first round is not over
		o.err = &QuorumError{Need: quorumOf(len(m.nodes)), Nodes: []NodeError{{"quorum", &timeoutAfter{time.Since(w.start)}}}}
	}
	if reason == ErrTimeout { //nolint:errorlint // our own
		return atDeadline(o, nil)
	}
	return atDeadline(o, reason)
}

// stand competes in Redis for everybody at the gate, until the lock is granted
// or the caller must give up.
func (m *Manager) stand(ctx context.Context, g *gate, w *waiter, t turn) (*Lock, error) {
	o, queued, again := outcome{contention: true}, t.queued, false
	unqueued, retries := 0, 0 // rounds on end that left this process off Redis' queue; those behind a whole pause
	if t.yields {
		m.listen(ctx, g, earlier(w.end, time.Now().Add(lastRound)))
		queued, unqueued = true, 1
	}
	for rounds := 0; ; rounds++ {
		before := o
		if queued {
			woken, err := m.pause(ctx, g, w, o, unqueued)
			if err != nil {
				m.stepDown(g)
				return nil, err
			}
			again = woken
			if rounds > 0 && !w.hurries(unqueued) {
				retries++
			}
		}
		var l *Lock
		if l, o = m.attempt(ctx, g, w, again); o.ok {
			return l, nil
		}
		if o.cut && rounds > 0 {
			o = before // a round cut short by the end of the wait knows less than the one before it
		}
		if err := m.giveUp(ctx, g, w, o, retries); err != nil {
			m.stepDown(g)
			return nil, err
		}
		if rounds == 0 && w.turns == nil { // who was in the queue has been told of
			m.observe(ctx, Event{Kind: EventWaiting, Key: g.key, Time: time.Now()})
		}
		// The round after the subscription registers this process in Redis'
		// queue, and finds out whether the lock was released in between.
		subscribed := o.contention && m.listen(ctx, g, w.end)
		queued, again = !subscribed, subscribed
		if unqueued++; !o.unqueued {
			unqueued = 0
		}
	}
}

// giveUp says why no further round follows.
func (m *Manager) giveUp(ctx context.Context, g *gate, w *waiter, o outcome, retries int) error {
	m.mu.Lock()
	if !o.early && ctx.Err() == nil { // otherwise the others need a round of their own
		g.conclude(o, time.Now())
	}
	closed, outlasted := m.closed, w.outlasts(&g.last, time.Now())
	m.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case ctx.Err() != nil && o.cut && errors.Is(ctx.Err(), context.Canceled):
		return contextError(ctx) // the nodes had no chance to answer
	case ctx.Err() != nil:
		return atDeadline(o, contextError(ctx))
	case w.once, outlasted && o.isOutage():
		return o.err
	case !time.Now().Before(w.end), w.set.MaxRetries > 0 && retries >= w.set.MaxRetries:
		return atDeadline(o, nil)
	}
	return nil
}

// atDeadline is a last round's outcome as seen at the end of the wait.
func atDeadline(o outcome, ended error) error {
	var errs causes
	if o.contention {
		errs = append(errs, ErrTimeout)
	}
	var outage *QuorumError
	if errors.As(o.err, &outage) {
		errs = append(errs, outage)
	}
	if ended != nil {
		errs = append(errs, ended)
	}
	if len(errs) == 0 {
		return ErrTimeout
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errs
}

// attempt is one round, which asks all nodes at once. That of somebody who was
// woken asks the key's home node first and the others once that has granted:
// processes that were woken together then meet in one place, instead of taking a
// node each and none of them a majority. Whoever only polls asks all: the release
// may not have reached the home node.
func (m *Manager) attempt(ctx context.Context, g *gate, w *waiter, again bool) (*Lock, outcome) {
	m.longer(w.set.TTL)
	now := time.Now()
	s := m.newLease(g.key, g.names, &w.set, now)
	r := m.newRound(s, now, m.endOf(w, now))
	home, register := m.home(g.names, now), ""
	if g.heard != nil {
		home, register = g.heard.n, m.id
	}
	if again && len(m.nodes) > 1 {
		r.ask(ctx, now, home, home, register)
		if v := r.said(home); v.answer == refused {
			r.finish(false)
			return nil, outcome{contention: true, left: v.left, err: ErrNotAcquired}
		}
		now = time.Now()
	}
	r.ask(ctx, now, nil, home, register)
	votes := r.grants()
	if !votes.won {
		r.finish(false)
		o := r.conclude()
		o.unqueued = r.said(home).answer == granted
		return nil, o
	}
	if err := ctx.Err(); err != nil {
		r.finish(false)
		return nil, outcome{err: err}
	}
	fenced, now := r.fence(ctx, votes), time.Now()
	if !fenced || !s.begin(r.start, now) {
		r.finish(false)
		return nil, outcome{late: true, err: &QuorumError{Need: quorumOf(len(m.nodes)), Got: r.yes, Nodes: []NodeError{{"quorum", errTooLate}}}}
	}
	r.finish(true)
	l := m.newLock(w, s, g, s.token, now)
	m.occupy(g, l)
	m.keeper.watch(s, now)
	return l, outcome{ok: true}
}

var errTooLate = errors.New("granted, but the lease was over, or the caller gone, before it could be used: a longer TTL helps")

// unqueuedDelay is how soon a process that the home node granted the lock, and the
// others refused, asks again: the release that woke it may not have reached them yet,
// and nobody will wake it until home has refused, and queued, it. It doubles with
// every such round, for a holder whose lock is not on the home node.
const unqueuedDelay = time.Millisecond

func unqueuedPause(rounds int) time.Duration { return unqueuedDelay << min(rounds-1, 20) }

// hurries reports whether w asks again before its pause would be over, after so many
// rounds that left it off the queue.
func (w *waiter) hurries(unqueued int) bool {
	return unqueued > 0 && unqueuedPause(unqueued) < w.set.RetryDelay
}

// pause waits to be woken, and reports whether it was, or whether home is free as far
// as is known; the end of the holder's lease and a jittered poll are the net below,
// for wake-ups that were lost.
func (m *Manager) pause(ctx context.Context, g *gate, w *waiter, o outcome, unqueued int) (woken bool, err error) {
	d := w.set.RetryDelay/2 + rand.N(w.set.RetryDelay/2+1)
	if unqueued > 0 {
		soon := unqueuedPause(unqueued)
		d = min(d, soon/2+rand.N(soon))
	}
	if o.contention && o.left > 0 {
		// Servers count whole milliseconds, and a key is there until the last is over: who
		// asks before that waits for the whole of the pause once more.
		d = min(d, o.left+2*time.Millisecond+rand.N(3*time.Millisecond))
	}
	timer := m.timers.get(min(d, time.Until(w.end)))
	defer m.timers.put(timer)
	select {
	case <-g.wake:
		woken = true
	case <-timer.C:
		woken = unqueued > 0
	case <-ctx.Done():
		return false, atDeadline(o, contextError(ctx))
	case <-m.closing:
		return false, ErrClosed
	}
	if !time.Now().Before(w.end) {
		return false, atDeadline(o, nil)
	}
	return woken, nil
}
