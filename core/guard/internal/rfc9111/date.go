package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// ParseDate reads an HTTP-date in any of the three formats of RFC 9110 §5.6.7.
// Letter case is ignored and every zone but GMT refused, as RFC 9111 §4.2 has
// it for caches; now places the two-digit years of RFC 850.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	s = trimOWS(s)
	comma := strings.IndexByte(s, ',')
	switch {
	case comma == 3:
		return parseIMF(s)
	case comma > 3:
		return parseRFC850(s, comma, now)
	default:
		return parseASCTime(s)
	}
}

// AppendDate appends t as an IMF-fixdate, the one format to be generated.
func AppendDate(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, http.TimeFormat)
}

const (
	shortDays  = "sunmontuewedthufrisat"
	monthNames = "janfebmaraprmayjunjulaugsepoctnovdec"
)

// parseIMF reads "Sun, 06 Nov 1994 08:49:37 GMT".
func parseIMF(s string) (time.Time, bool) {
	if len(s) != 29 || s[4] != ' ' || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' ||
		nameIndex(shortDays, s[:3]) < 0 || !isGMT(s[25:]) {
		return time.Time{}, false
	}
	return civil(number(s[12:16]), s[8:11], number(s[5:7]), s[17:25])
}

// parseRFC850 reads "Sunday, 06-Nov-94 08:49:37 GMT".
func parseRFC850(s string, comma int, now time.Time) (time.Time, bool) {
	rest := s[comma+1:]
	if len(rest) != 23 || rest[0] != ' ' || rest[3] != '-' || rest[7] != '-' || rest[10] != ' ' ||
		!isLongDay(s[:comma]) || !isGMT(rest[19:]) {
		return time.Time{}, false
	}
	year := number(rest[8:10])
	if year < 0 {
		return time.Time{}, false
	}
	return nearestCentury(year, now, func(year int) (time.Time, bool) {
		return civil(year, rest[4:7], number(rest[1:3]), rest[11:19])
	})
}

// nearestCentury finds the century of a two-digit year: a date more than 50
// years ahead is the most recent past year with these digits (RFC 9110 §5.6.7).
func nearestCentury(year int, now time.Time, at func(year int) (time.Time, bool)) (time.Time, bool) {
	limit := now.UTC().AddDate(50, 0, 0)
	century := limit.Year() / 100 * 100
	if t, ok := at(century + year); ok && !t.After(limit) {
		return t, true
	}
	return at(century - 100 + year)
}

// parseASCTime reads "Sun Nov  6 08:49:37 1994".
func parseASCTime(s string) (time.Time, bool) {
	if len(s) != 24 || s[3] != ' ' || s[7] != ' ' || s[10] != ' ' || s[19] != ' ' ||
		nameIndex(shortDays, s[:3]) < 0 {
		return time.Time{}, false
	}
	day := s[8:10]
	if day[0] == ' ' {
		day = day[1:]
	}
	return civil(number(s[20:]), s[4:7], number(day), s[11:19])
}

// civil refuses what time.Date would normalize, save for a leap second, which
// becomes the second before: RFC 9111 §4.2 wants the nearest earlier time.
func civil(year int, month string, day int, clock string) (time.Time, bool) {
	m := nameIndex(monthNames, month)
	if year < 0 || m < 0 || day < 1 || clock[2] != ':' || clock[5] != ':' {
		return time.Time{}, false
	}
	hour, minute, second := number(clock[:2]), number(clock[3:5]), number(clock[6:])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(m+1), day, hour, minute, min(second, 59), 0, time.UTC)
	if t.Day() != day {
		return time.Time{}, false
	}
	return t, true
}

// number reads a run of digits; -1 is anything else.
func number(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// nameIndex finds a three-letter name in names, without regard to case.
func nameIndex(names, name string) int {
	for i := 0; i < len(names); i += 3 {
		if asciiEqualFold(names[i:i+3], name) {
			return i / 3
		}
	}
	return -1
}

func isLongDay(s string) bool {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if asciiEqualFold(day.String(), s) {
			return true
		}
	}
	return false
}

func isGMT(s string) bool { return asciiEqualFold(s, " gmt") }

// asciiEqualFold is strings.EqualFold without Unicode: "ſ" is not an "s".
func asciiEqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
