package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is what came out of the rounds.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	return spread{v[0], (v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[len(v)-1]}
}

// ratios divides round by round, so that what slowed a round down is in both.
func ratios(values, by []float64) spread {
	var r []float64
	for i := range min(len(values), len(by)) {
		if by[i] > 0 {
			r = append(r, values[i]/by[i])
		}
	}
	return spreadOf(r)
}

// times is the ratio as the tables show it: 0.15 × (0.14–0.17).
func (s spread) times() string {
	if math.IsNaN(s.median) {
		return "–"
	}
	return fmt.Sprintf("**%s ×** (%s–%s)", short(s.median), short(s.min), short(s.max))
}

// plain is the same for what is not a ratio.
func (s spread) plain() string {
	if math.IsNaN(s.median) {
		return "–"
	}
	return fmt.Sprintf("**%s** (%s–%s)", short(s.median), short(s.min), short(s.max))
}

// short has about three digits.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// jain is Jain's fairness index: 1 when all got the same, 1/n when one got all
// (Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", 1984).
func jain(shares []float64) float64 {
	var sum, squares float64
	for _, s := range shares {
		sum += s
		squares += s * s
	}
	if squares == 0 {
		return math.NaN()
	}
	return sum * sum / (float64(len(shares)) * squares)
}
