//go:build unix

package guard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a purge and a fill are promised to be, which the judge goes by; see
// cache.Tiered and cache.Cache.Invalidate.
const (
	// raceHeard is for how long a message may be on its way on a busy machine.
	raceHeard = 500 * time.Millisecond
	// raceLost is for how long one that is lost can leave in use what it was about.
	raceLost = 3 * time.Second
	// raceReturn is how much longer a process may leave a store alone that did not answer.
	raceReturn = 1500 * time.Millisecond
)

// raceSpan is a stretch of the machine's clock in which something was broken.
type raceSpan struct {
	from, to int64
	by       int // the process that was suspended; -1: the store could not be asked, -2: something else
}

func (s raceSpan) touches(from, to int64) bool { return s.from < to && from < s.to }

// raceJudge holds what the processes told against what they are promised.
type raceJudge struct {
	spans []raceSpan // by when they began
	slack int64      // for which the machine may have stood still, and some

	looks, hits, stale, stored, refused, purges, posts int
	runs, lost, unlocked, behind                       int
	stall                                              time.Duration
	wrong                                              []string
}

func (j *raceJudge) String() string {
	return fmt.Sprintf("%d answers (%d hits, %d of them stale, %d stored, %d refused), %d purges and %d unsafe requests, %d runs (%d lost their lock, %d had none), %d broken spans, %d answers behind as they may be, longest stall %v",
		j.looks, j.hits, j.stale, j.stored, j.refused, j.purges, j.posts, j.runs, j.lost, j.unlocked, len(j.spans), j.behind, j.stall)
}

func (j *raceJudge) blame(format string, args ...any) {
	if len(j.wrong) < 20 {
		j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
	}
}

// judge is of the events in the order they were read in.
func (j *raceJudge) judge(events []raceEvent) {
	j.measure(events)
	lost, settled := map[string]bool{}, map[string][]raceEvent{}
	for _, e := range events {
		switch {
		case e.What == "run":
			j.runs++
			lost[e.Run] = e.Lost
			j.lost += count(e.Lost)
			j.unlocked += count(e.Lock == "")
			if e.Wrong != "" && e.Key[0] != 'e' && e.Key[0] != 'v' { // whose responses may be of no use to others
				j.blame("%s\n%+v", e.Wrong, e)
			}
		case e.What == "purge" && e.Err == "":
			j.purges += count(e.Host == "")
			j.posts += count(e.Host != "")
			settled[e.Key] = append(settled[e.Key], e)
		case e.What == "look" && isStoredBy(e):
			j.stored++
			settled[e.Key] = append(settled[e.Key], e)
		}
	}
	for _, all := range settled {
		slices.SortFunc(all, func(a, b raceEvent) int { return int(b.Version) - int(a.Version) })
	}
	for _, e := range events {
		if e.What == "look" && e.Err == "" {
			j.look(e, settled[e.Key], lost)
		}
	}
	j.overlaps(events)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isHit(e raceEvent) bool { return strings.Contains(e.Cache, ";hit") }

// isStoredBy reports a response that its own request has stored.
func isStoredBy(e raceEvent) bool { return strings.Contains(e.Cache, ";stored") && e.Version > 0 }

// measure finds out how long the machine stood still.
func (j *raceJudge) measure(events []raceEvent) {
	for _, e := range events {
		if e.What == "stall" && !j.suspended(e.by, e.Began, e.End) {
			j.stall = max(j.stall, time.Duration(e.End-e.Began))
		}
	}
	j.slack = int64(20*time.Millisecond + 3*j.stall)
}

func (j *raceJudge) suspended(by int, from, to int64) bool {
	return slices.ContainsFunc(j.spans, func(s raceSpan) bool { return s.by == by && s.touches(from, to) })
}

// look judges one response.
func (j *raceJudge) look(e raceEvent, settled []raceEvent, lost map[string]bool) {
	j.looks++
	switch {
	case e.Wrong != "":
		j.blame("of several versions: %s\n%+v", e.Wrong, e)
	case e.Version == 0:
		j.refused++
		return
	}
	if isHit(e) {
		j.hits++
		if lost[e.Run] {
			j.blame("stored by who had lost the lock\n%+v", e)
		}
		j.age(e)
	}
	for _, s := range settled { // the newest first
		if s.Version <= e.Version {
			return
		}
		if (s.Host == "" || s.Host == e.Host) && (s.What == "purge" || s.Lang == e.Lang) && e.Began > s.End {
			j.behind++
			if e.Began > j.knownTo(e, s) {
				j.blame("version %d after %d was settled (process %d, then %d, %v later)\n%+v\n%+v", e.Version, s.Version, s.by, e.by, time.Duration(e.Began-s.End), s, e)
				return
			}
		}
	}
}

// knownTo is from when on whoever answered e has to know of a purge or a fill:
//
//	a purge of the same process       when it has returned
//	a fill of the same process        as soon, but for those who look meanwhile
//	of another one, nothing broken    a message later
//	of another one                    when a lost message counts no more, and the store can be asked
func (j *raceJudge) knownTo(e, s raceEvent) int64 {
	switch {
	case e.by == s.by && s.What == "purge":
		return s.End
	case e.by == s.by, !slices.ContainsFunc(j.spans, func(span raceSpan) bool { return span.touches(s.Began, e.Began) }):
		return s.End + int64(raceHeard) + j.slack
	}
	return s.End + int64(raceLost) + j.slack + j.unreachable(e.by, s.End, e.Began)
}

// unreachable is for how long a process could not ask the store, or do anything.
func (j *raceJudge) unreachable(by int, from, to int64) (sum int64) {
	for _, s := range j.spans {
		if s.by == by || s.by == -1 {
			sum += max(min(s.to, to)-max(s.from, from), 0)
		}
	}
	return sum
}

// age: nothing is served beyond its time, whoever has confirmed it last.
func (j *raceJudge) age(e raceEvent) {
	if e.Key[0] == 'l' {
		return
	}
	age := e.Began - e.Made
	if age > int64(raceFresh) {
		j.stale++
	}
	if age > int64(raceFresh+raceStale)+j.slack {
		j.blame("%v old\n%+v", time.Duration(age), e)
	}
}

// overlaps: of those who run under one lock, nobody does beside another one that has
// not lost it.
func (j *raceJudge) overlaps(events []raceEvent) {
	byLock := map[string][]raceEvent{}
	for _, e := range events {
		if e.What == "run" && e.Lock != "" {
			byLock[e.Lock] = append(byLock[e.Lock], e)
		}
	}
	for _, runs := range byLock {
		slices.SortFunc(runs, func(a, b raceEvent) int { return int(a.Began - b.Began) })
		var last raceEvent
		for _, run := range runs {
			if run.Began < last.End && !last.Lost {
				j.blame("two at a time\n%+v\n%+v", last, run)
			}
			if run.End > last.End {
				last = run
			}
		}
	}
}

// The judge finds what it is there to find.
func TestTheRacesAreJudged(t *testing.T) {
	const s = int64(time.Second)
	look := func(by int, began int64, version uint64) raceEvent {
		return raceEvent{What: "look", Key: "l0", Host: "a.test", Began: began, End: began + 1, Version: version, Cache: "dlm;hit;ttl=1", by: by}
	}
	purge := func(by int, end int64, version uint64) raceEvent {
		return raceEvent{What: "purge", Key: "l0", Began: end - 1, End: end, Version: version, by: by}
	}
	with := func(e raceEvent, change func(*raceEvent)) raceEvent { change(&e); return e }
	fill := with(look(0, 10*s, 2), func(e *raceEvent) { e.Cache = "dlm;fwd=request;stored" })
	post := with(purge(0, 10*s, 2), func(e *raceEvent) { e.Host = "b.test" })
	short := func(began int64) raceEvent {
		return with(look(0, began, 1), func(e *raceEvent) { e.Key, e.Made = "s0", 10*s })
	}
	run := func(by int, began, end int64, lost bool) raceEvent {
		return raceEvent{What: "run", Lock: "k", Run: fmt.Sprint(by), Began: began, End: end, Lost: lost, by: by}
	}
	outage, suspended := raceSpan{11 * s, 14 * s, -1}, raceSpan{11 * s, 14 * s, 1}
	for name, c := range map[string]struct {
		wrong  int
		spans  []raceSpan
		events []raceEvent
	}{
		"the same process, at once":            {1, nil, []raceEvent{purge(0, 10*s, 2), look(0, 10*s+1, 1)}},
		"the same process, begun before":       {0, nil, []raceEvent{purge(0, 10*s, 2), look(0, 10*s-1, 1)}},
		"the same process, the new version":    {0, nil, []raceEvent{purge(0, 10*s, 2), look(0, 10*s+1, 2)}},
		"the purge failed":                     {0, nil, []raceEvent{with(purge(0, 10*s, 2), func(e *raceEvent) { e.Err = "no" }), look(0, 10*s+1, 1)}},
		"of another host":                      {0, nil, []raceEvent{post, look(0, 10*s+1, 1)}},
		"of its host":                          {1, nil, []raceEvent{with(post, func(e *raceEvent) { e.Host = "a.test" }), look(0, 10*s+1, 1)}},
		"another process, a message later":     {1, nil, []raceEvent{purge(0, 10*s, 2), look(1, 11*s, 1)}},
		"another process, not yet":             {0, nil, []raceEvent{purge(0, 10*s, 2), look(1, 10*s+s/4, 1)}},
		"a message was lost":                   {0, []raceSpan{{9 * s, 10*s + 5, -2}}, []raceEvent{purge(0, 10*s, 2), look(1, 12*s, 1)}},
		"long ago":                             {1, []raceSpan{{9 * s, 10*s + 5, -2}}, []raceEvent{purge(0, 10*s, 2), look(1, 13*s+s/2, 1)}},
		"the store cannot be asked":            {0, []raceSpan{outage}, []raceEvent{purge(0, 10*s, 2), look(1, 15*s, 1)}},
		"it could, long enough":                {1, []raceSpan{outage}, []raceEvent{purge(0, 10*s, 2), look(1, 17*s, 1)}},
		"the process was suspended":            {0, []raceSpan{suspended}, []raceEvent{purge(0, 10*s, 2), look(1, 15*s, 1)}},
		"another one was":                      {1, []raceSpan{suspended}, []raceEvent{purge(0, 10*s, 2), look(2, 15*s, 1)}},
		"a fill of the same process":           {1, []raceSpan{outage}, []raceEvent{fill, look(0, 11*s, 1)}},
		"a fill of another one":                {1, nil, []raceEvent{fill, look(1, 11*s, 1)}},
		"a fill of another language":           {0, nil, []raceEvent{fill, with(look(1, 11*s, 1), func(e *raceEvent) { e.Lang = "de" })}},
		"torn":                                 {1, nil, []raceEvent{with(look(0, s, 1), func(e *raceEvent) { e.Wrong = "body" })}},
		"too old":                              {1, nil, []raceEvent{short(11 * s)}},
		"stale":                                {0, nil, []raceEvent{short(10*s + s/3)}},
		"one after another":                    {0, nil, []raceEvent{run(0, s, 2*s, false), run(1, 2*s, 3*s, false)}},
		"two at a time":                        {1, nil, []raceEvent{run(0, s, 3*s, false), run(1, 2*s, 3*s, false)}},
		"two at a time, one had lost it":       {0, nil, []raceEvent{run(0, s, 3*s, true), run(1, 2*s, 3*s, false)}},
		"a run without a lock":                 {1, nil, []raceEvent{{What: "run", Key: "s0", Wrong: "no lock"}}},
		"of what may be anybody's own":         {0, nil, []raceEvent{{What: "run", Key: "e1", Wrong: "no lock"}}},
		"stored by who had lost the lock":      {1, nil, []raceEvent{run(0, s, 2*s, true), with(look(0, 3*s, 1), func(e *raceEvent) { e.Run = "0" })}},
		"the same, and not stored":             {0, nil, []raceEvent{run(0, s, 2*s, true), with(look(0, 3*s, 1), func(e *raceEvent) { e.Run, e.Cache = "0", "dlm;fwd=uri-miss" })}},
		"the machine stood still all the time": {0, nil, []raceEvent{{What: "stall", Began: 10 * s, End: 11 * s}, purge(0, 10*s, 2), look(1, 12*s, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			j := &raceJudge{spans: c.spans}
			j.judge(c.events)
			require.Len(t, j.wrong, c.wrong, j.wrong)
		})
	}
}
