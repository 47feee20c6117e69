//go:build unix

package core

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// report is what a soak came to.
type report struct {
	attempts, acquired    int
	refusedInOutage       int
	overlaps, inversions  []string
	linearizable          porcupine.CheckResult
	availability          float64 // of the attempts while a majority was sound
	slowest, p99, healthy time.Duration
	late                  []attemptRecord // that came back more than 100ms after the wait, less what the machine stood still meanwhile
	stalled               time.Duration   // for which it did, in the whole soak
	orphans, leaked       int
	faults                int
}

func (r *report) String() string {
	return fmt.Sprintf(`
  attempts       %d
  acquisitions   %d
  overlaps       %d
  inversions     %d
  linearizable   %v
  availability   %.2f %% while a majority was sound (%d faults)
  no quorum      %d while it was not
  p99 acquire    %v, healthy %v
  slowest        %v of a wait of %v; the machine stood still for %v in all
  orphan keys    %d
  goroutines     %d left`, r.attempts, r.acquired, len(r.overlaps), len(r.inversions), r.linearizable,
		100*r.availability, r.faults, r.refusedInOutage, r.p99.Round(time.Millisecond), r.healthy.Round(time.Millisecond), r.slowest.Round(time.Millisecond), soakWait, r.stalled.Round(time.Millisecond), r.orphans, r.leaked)
}

func judge(history []attemptRecord, f *faultMaker, stalls []span) *report {
	r := &report{faults: len(f.log), linearizable: porcupine.Ok}
	var took, calm, hurt []time.Duration
	sound, served := 0, 0
	byKey := map[string][]attemptRecord{}
	for _, a := range history {
		r.leaked += a.Leaked
		if a.Key == "" {
			continue
		}
		r.attempts++
		took = append(took, a.Returned-a.Asked)
		const latest = soakWait + 100*time.Millisecond
		if at := (span{a.Asked, a.Returned}); at.to-at.from > latest && at.to-at.from-at.within(stalls) > latest {
			r.late = append(r.late, a)
		}
		inOutage := slices.ContainsFunc(f.outages, span{a.Asked, a.Returned}.touches)
		switch {
		case a.Token > 0:
			r.acquired++
			byKey[a.Key] = append(byKey[a.Key], a)
		case inOutage && a.NoQuorum:
			r.refusedInOutage++
		}
		switch {
		case f.healthy.touches(span{a.Asked, a.Returned}):
			calm = append(calm, a.Returned-a.Asked)
		case !inOutage:
			hurt = append(hurt, a.Returned-a.Asked)
		}
		if !inOutage {
			sound++
			served += min(1, int(a.Token))
		}
	}
	for _, stall := range stalls {
		r.stalled += stall.to - stall.from
	}
	r.availability = float64(served) / float64(max(1, sound))
	r.slowest, r.p99, r.healthy = quantile(took, 1), quantile(hurt, 0.99), quantile(calm, 0.99)
	for _, grants := range byKey {
		r.sweep(grants)
		for chunk := range overlapping(grants) {
			if result := porcupine.CheckOperationsTimeout(leaseModel, operations(chunk), 20*time.Second); result != porcupine.Ok {
				r.linearizable = result
			}
		}
	}
	return r
}

// overlapping cuts a long history into chunks that share a third with the next:
// porcupine's work grows with the operations that are open at once, and a lock
// given up "some time later" is open to the end. What chunks far apart could say
// about each other, the sweep says.
func overlapping(grants []attemptRecord) iter.Seq[[]attemptRecord] {
	const size, step = 90, 60
	return func(yield func([]attemptRecord) bool) {
		for from := 0; from < len(grants); from += step {
			to := min(from+size, len(grants))
			if !yield(grants[from:to]) || to == len(grants) {
				return
			}
		}
	}
}

func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

// sweep looks at one key's grants in the order in which they were returned: no
// two are relied upon at once, and one that begins after another has ended has
// the higher token.
func (r *report) sweep(grants []attemptRecord) {
	slices.SortFunc(grants, func(a, b attemptRecord) int { return cmp.Compare(a.Returned, b.Returned) })
	var last attemptRecord
	for _, g := range grants {
		if last.Token > 0 && g.held().from < last.held().to {
			r.overlaps = append(r.overlaps, describePair(last, g))
		}
		if g.Token <= last.Token {
			r.inversions = append(r.inversions, describePair(last, g))
		}
		if g.held().to > last.held().to || g.Token > last.Token {
			last = g
		}
	}
}

func describePair(a, b attemptRecord) string {
	return strings.Join([]string{fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)}, "\n")
}

// leaseModel is a lock to porcupine: taking it needs it free and a token beyond
// all before; giving it up needs it to be held with that token.
var leaseModel = porcupine.Model{
	Init: func() any { return leaseState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, op := state.(leaseState), input.(leaseOp)
		if op.take {
			return !s.held && op.token > s.token, leaseState{held: true, token: op.token}
		}
		return s.held && s.token == op.token, leaseState{token: s.token}
	},
}

type leaseState struct {
	held  bool
	token uint64
}

type leaseOp struct {
	take  bool
	token uint64
}

// operations are the grants as porcupine wants them: the lock is taken somewhere
// within Acquire, and given up, or over, from the end of its validity on.
func operations(grants []attemptRecord) []porcupine.Operation {
	var ops []porcupine.Operation
	var end time.Duration
	for _, g := range grants {
		end = max(end, g.Returned, g.held().to)
	}
	for i, g := range grants {
		ops = append(ops,
			porcupine.Operation{ClientId: 2 * i, Input: leaseOp{true, g.Token}, Call: int64(g.Asked), Return: int64(g.Returned)},
			// It may be given up late, never early: up to the end of the history.
			porcupine.Operation{ClientId: 2*i + 1, Input: leaseOp{false, g.Token}, Call: int64(max(g.held().to, g.Returned)), Return: int64(end) + 1})
	}
	return ops
}

// isLockKey tells a lock from its counter, queue and the node's marker.
func isLockKey(key string) bool {
	_, name, _ := strings.Cut(key, "}:")
	return strings.HasPrefix(name, "l:") || strings.HasPrefix(name, "h:")
}

// The judge finds what it is there to find.
func TestTheSoakIsJudged(t *testing.T) {
	ms := time.Millisecond
	grant := func(token uint64, asked, returned, until, released time.Duration) attemptRecord {
		return attemptRecord{Key: "k", Token: token, Asked: asked * ms, Returned: returned * ms, Until: until * ms, Released: released * ms}
	}
	for name, c := range map[string]struct {
		history              []attemptRecord
		overlaps, inversions int
		verdict              porcupine.CheckResult
	}{
		"in turn":             {[]attemptRecord{grant(1, 0, 1, 100, 5), grant(2, 2, 6, 100, 9)}, 0, 0, porcupine.Ok},
		"after expiry":        {[]attemptRecord{grant(1, 0, 1, 100, 500), grant(2, 2, 101, 200, 150)}, 0, 0, porcupine.Ok},
		"two owners":          {[]attemptRecord{grant(1, 0, 1, 100, 50), grant(2, 2, 20, 100, 30)}, 1, 0, porcupine.Illegal},
		"a token that is old": {[]attemptRecord{grant(5, 0, 1, 100, 5), grant(4, 10, 16, 100, 19)}, 0, 1, porcupine.Illegal},
		"a token shared":      {[]attemptRecord{grant(5, 0, 1, 100, 5), grant(5, 10, 16, 100, 19)}, 0, 1, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			r := judge(c.history, &faultMaker{}, nil)
			require.Len(t, r.overlaps, c.overlaps)
			require.Len(t, r.inversions, c.inversions)
			require.Equal(t, c.verdict, r.linearizable)
		})
	}
}

// What is said about time is said of the right attempts: those before any fault,
// those among faults of a minority, and those while a majority was gone.
func TestTheSoakIsTimed(t *testing.T) {
	const ms = time.Millisecond
	var history []attemptRecord
	token := uint64(0)
	attempt := func(asked, took time.Duration, served, noQuorum bool) {
		r := attemptRecord{Key: "k", Asked: asked, Returned: asked + took, NoQuorum: noQuorum}
		if served {
			token++
			r.Token, r.Until, r.Released = token, r.Returned+ms, r.Returned+ms
		}
		history = append(history, r)
	}
	for i := range time.Duration(100) {
		attempt(i*10*ms, 2*ms, true, false)            // calm
		attempt(2000*ms+i*10*ms, 3*ms, i != 7, i == 7) // a minority is hurt; one is refused
	}
	attempt(2995*ms, 4*ms, true, false)
	attempt(4000*ms, 50*ms, false, true) // a majority is gone
	f := &faultMaker{healthy: span{0, 1500 * ms}, outages: []span{{3900 * ms, 5000 * ms}}}
	r := judge(append(history, attemptRecord{Process: 1, Leaked: 2}, attemptRecord{Leaked: 1}), f, nil)
	require.Equal(t, 202, r.attempts)
	require.Equal(t, 200, r.acquired)
	require.InDelta(t, 200.0/201, r.availability, 1e-9)
	require.Equal(t, 1, r.refusedInOutage)
	require.Equal(t, 2*ms, r.healthy)
	require.Equal(t, 3*ms, r.p99)
	require.Equal(t, 50*ms, r.slowest)
	require.Equal(t, 3, r.leaked)
}

// A machine that stands still excuses the attempts of that time, and no others.
func TestTheSoakKnowsWhoIsLate(t *testing.T) {
	const ms = time.Millisecond
	late := func(stalls ...span) int {
		attempts := []attemptRecord{{Key: "k", Asked: 1000 * ms, Returned: 1000*ms + soakWait + 600*ms}}
		return len(judge(attempts, &faultMaker{}, stalls).late)
	}
	require.Equal(t, 1, late())
	require.Equal(t, 0, late(span{900 * ms, 1300 * ms}, span{1500 * ms, 1800 * ms}))
	require.Equal(t, 1, late(span{900 * ms, 1300 * ms}))
	require.Equal(t, 1, late(span{0, 1000 * ms}, span{9000 * ms, 9900 * ms}))
}
