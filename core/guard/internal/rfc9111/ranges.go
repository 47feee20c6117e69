package rfc9111

import (
	"math"
	"strings"
)

// maxRanges bounds the parts of one answer (RFC 9110 §17.15).
const maxRanges = 16

// Range is a part of a representation that is not empty.
type Range struct{ Start, Length int64 }

// Ranges is the outcome of a Range field.
type Ranges uint8

const (
	// RangesIgnored: answer with the whole, as if Range were absent.
	RangesIgnored Ranges = iota
	// RangesSatisfiable: answer 206.
	RangesSatisfiable
	// RangesUnsatisfiable: answer 416.
	RangesUnsatisfiable
)

// ParseRanges reads the Range field of a GET for a representation of size
// bytes (RFC 9110 §14.2). What is malformed, in another unit, or would cost
// more than the whole is ignored: more than 16 ranges, more than two that
// overlap, or together longer than the representation. So is every Range
// for an empty representation, which some clients send to limit a size they do
// not know.
func ParseRanges(lines []string, size int64) ([]Range, Ranges) {
	if len(lines) != 1 || size <= 0 {
		return nil, RangesIgnored
	}
	unit, set, ok := strings.Cut(trimOWS(lines[0]), "=")
	if !ok || !asciiEqualFold(unit, "bytes") || strings.Count(set, ",") >= 4*maxRanges {
		return nil, RangesIgnored
	}
	ranges, valid := parseRangeSet(set, size)
	switch {
	case !valid || excessive(ranges, size):
		return nil, RangesIgnored
	case len(ranges) == 0:
		return nil, RangesUnsatisfiable
	}
	return ranges, RangesSatisfiable
}

// parseRangeSet leaves out the ranges that lie behind the end.
func parseRangeSet(set string, size int64) (ranges []Range, valid bool) {
	for spec := range strings.SplitSeq(set, ",") {
		if spec = trimOWS(spec); spec == "" {
			continue
		}
		r, ok := parseRange(spec, size)
		if !ok {
			return nil, false
		}
		valid = true
		if r.Length > 0 {
			ranges = append(ranges, r)
		}
	}
	return ranges, valid
}

// parseRange reads "first-last", "first-" or "-suffix"; a Length of 0 is a
// range that cannot be satisfied.
func parseRange(spec string, size int64) (Range, bool) {
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return Range{}, false
	}
	if from == "" {
		suffix, ok := parseInt(to)
		suffix = min(suffix, size)
		return Range{size - suffix, suffix}, ok
	}
	first, ok := parseInt(from)
	if !ok {
		return Range{}, false
	}
	last := size - 1
	if to != "" {
		if last, ok = parseInt(to); !ok || last < first {
			return Range{}, false
		}
	}
	if first >= size {
		return Range{}, true
	}
	return Range{first, min(last, size-1) - first + 1}, true
}

func excessive(ranges []Range, size int64) bool {
	if len(ranges) > maxRanges {
		return true
	}
	var total int64
	overlaps := 0
	for i, r := range ranges {
		if total += r.Length; total > size {
			return true
		}
		for _, other := range ranges[:i] {
			if r.Start < other.Start+other.Length && other.Start < r.Start+r.Length {
				overlaps++
			}
		}
	}
	return overlaps > 2
}

// parseInt reads digits alone; what is too large is the largest.
func parseInt(s string) (int64, bool) {
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + digit
	}
	return n, s != ""
}
