package main

import (
	"math"
	"slices"
)

// latencies are in nanoseconds, sorted.
type latencies struct {
	all  []float64
	over float64 // seconds they were gathered in
}

func (l *latencies) sort() { slices.Sort(l.all) }

// at is the quantile q, by the nearest rank.
func (l *latencies) at(q float64) float64 {
	if len(l.all) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q*float64(len(l.all)))) - 1
	return l.all[min(max(rank, 0), len(l.all)-1)]
}
