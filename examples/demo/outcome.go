package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// outcome is what clients and witness saw of an act.
type outcome struct {
	act     act
	took    time.Duration
	records map[string]*record
	queued  int // for a lock, in the processes' own words
	replies []reply
}

// count counts the replies that are so.
func (o *outcome) count(is func(reply) bool) (n int) {
	for _, r := range o.replies {
		if is(r) {
			n++
		}
	}
	return n
}

func served(r reply) bool { return r.err == nil && r.status == http.StatusOK }
func refused(r reply) bool {
	return r.err == nil && r.status == http.StatusServiceUnavailable && r.retryAfter
}

func of(k kind) func(reply) bool { return func(r reply) bool { return served(r) && r.cached == k } }

// runs are those of the handler.
func (o *outcome) runs() (n int) {
	for _, rec := range o.records {
		n += rec.runs
	}
	return n
}

// most is how many runs for one key there were at once.
func (o *outcome) most() (n int) {
	for _, rec := range o.records {
		n = max(n, rec.most)
	}
	return n
}

// lost is how many runs left no trace in the balance, because another one
// overwrote it.
func (o *outcome) lost() (n int) {
	for _, rec := range o.records {
		n += rec.runs - rec.balance
	}
	return n
}

// waits are the requests that queued for the lock or for another one's answer.
func (o *outcome) waits() int { return o.queued + o.count(of(shared)) }

// quantile of the time to an answer, q in hundredths.
func (o *outcome) quantile(q int) time.Duration {
	times := make([]time.Duration, len(o.replies))
	for i, r := range o.replies {
		times[i] = r.took
	}
	slices.Sort(times)
	return times[(len(times)-1)*q/100]
}

// promise says how it was broken, or nil.
type promise func(*outcome) error

func (o *outcome) broken() (errs []error) {
	for _, p := range o.act.promises {
		if err := p(o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.act.title, err))
		}
	}
	return errs
}

func allServed(o *outcome) error { return everyReply(o, served) }

func servedOrRefused(o *outcome) error {
	return everyReply(o, func(r reply) bool { return served(r) || refused(r) })
}

func everyReply(o *outcome, is func(reply) bool) error {
	for i, r := range o.replies {
		if !is(r) {
			return fmt.Errorf("request %d of %d: status %d, error %v", i, len(o.replies), r.status, r.err)
		}
	}
	return nil
}

// neverTwoAtOnce: none at all is right where everybody was refused, as processes may be
// that each take a node or two of five at the same moment and do not wait.
func neverTwoAtOnce(o *outcome) error {
	if n := o.most(); n > 1 || n == 0 && o.count(served) > 0 {
		return fmt.Errorf("%d handlers ran at once for one key", n)
	}
	return nil
}

func nothingLost(o *outcome) error {
	if n := o.lost(); n != 0 {
		return fmt.Errorf("%d of %d runs were lost", n, o.runs())
	}
	return nil
}

func oneRunPerKey(o *outcome) error {
	for key, rec := range o.records {
		if rec.runs != 1 {
			return fmt.Errorf("the handler ran %d times for %s", rec.runs, key)
		}
	}
	if want := len(o.replies) / o.act.perKey; len(o.records) != want {
		return fmt.Errorf("handlers ran for %d keys of %d", len(o.records), want)
	}
	return nil
}
