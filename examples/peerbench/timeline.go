package main

import (
	"cmp"
	"slices"
	"time"
)

// timeline is what happened to one key, over all processes.
type timeline struct {
	turns    int
	switches int // turns of another caller than the one before
	overlaps int // turns that began before an earlier one had ended
	starved  int // callers that never had a turn
	slowest  float64
	jain     float64
	between  []float64 // ns from one process' release to the next one's grant
	inside   []float64 // the same between callers of one process
}

// process is the process of a caller.
func (t turn) process() int { return t.Caller >> 10 }

func timelineOf(results []hotResult) timeline {
	var turns, pending []turn
	for _, r := range results {
		turns, pending = append(turns, r.Turns...), append(pending, r.Pending...)
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.Granted, b.Granted) })
	line := timeline{turns: len(turns)}
	line.follow(turns)
	line.fairness(turns, pending)
	return line
}

// follow goes from turn to turn.
func (l *timeline) follow(turns []turn) {
	for i := 1; i < len(turns); i++ {
		last, t := turns[i-1], turns[i]
		if t.Granted < last.Done {
			l.overlaps++
		}
		if t.Caller == last.Caller {
			continue
		}
		l.switches++
		gap := float64(t.Granted - last.Done)
		switch {
		case t.Asked > last.Done: // nobody was waiting
		case t.process() == last.process():
			l.inside = append(l.inside, gap)
		default:
			l.between = append(l.between, gap)
		}
	}
}

// fairness counts a wait that the end cut short as long as it was, when that
// makes it the slowest.
func (l *timeline) fairness(turns, pending []turn) {
	share := map[int]float64{}
	for _, p := range pending { // every caller has one
		share[p.Caller] = 0
	}
	var sum, slowest int64
	end := int64(0)
	for _, t := range turns {
		share[t.Caller]++
		sum += t.Granted - t.Asked
		slowest = max(slowest, t.Granted-t.Asked)
		end = max(end, t.Done)
	}
	for _, p := range pending {
		slowest = max(slowest, end-p.Asked)
	}
	var shares []float64
	for _, n := range share {
		shares = append(shares, n)
		if n == 0 {
			l.starved++
		}
	}
	l.jain = jain(shares)
	if sum > 0 {
		l.slowest = float64(slowest) * float64(len(turns)) / float64(sum)
	}
}

func micros(ns float64) float64 { return ns / float64(time.Microsecond) }
