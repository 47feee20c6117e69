package rfc9111

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseDate(t *testing.T) {
	nov := time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)
	none := time.Time{}
	tests := []struct {
		name, value string
		want        time.Time
	}{
		{"RFC 9110 §5.6.7 IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", nov},
		{"RFC 9110 §5.6.7 rfc850-date", "Sunday, 06-Nov-94 08:49:37 GMT", nov},
		{"RFC 9110 §5.6.7 asctime-date", "Sun Nov  6 08:49:37 1994", nov},
		{"RFC 9110 §5.6.7 asctime two-digit day", "Wed Nov 16 08:49:37 1994", nov.AddDate(0, 0, 10)},
		{"RFC 9110 §5.6.3 surrounding whitespace", "\t Sun, 06 Nov 1994 08:49:37 GMT ", nov},
		{"RFC 9111 §4.2 letter case", "SUN, 06 nov 1994 08:49:37 gmt", nov},
		{"RFC 9111 §4.2 letter case rfc850", "sUNDAY, 06-NOV-94 08:49:37 gMT", nov},
		{"RFC 9111 §4.2 leap second is the time before", "Sat, 31 Dec 2016 23:59:60 GMT", time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC)},
		{"RFC 9110 §5.6.7 year within 50 years ahead", "Sunday, 06-Nov-75 08:49:37 GMT", nov.AddDate(81, 0, 0)},
		{"RFC 9110 §5.6.7 year more than 50 years ahead", "Sunday, 06-Nov-77 08:49:37 GMT", nov.AddDate(-17, 0, 0)},
		{"RFC 9110 §5.6.7 the same year, 50 years and two months ahead", "Sunday, 06-Nov-76 08:49:37 GMT", nov.AddDate(-18, 0, 0)},
		{"RFC 9110 §5.6.7 the same year, 50 years less two months ahead", "Sunday, 06-Jul-76 08:49:37 GMT", time.Date(2076, 7, 6, 8, 49, 37, 0, time.UTC)},
		{"RFC 9111 §5.3 zero", "0", none},
		{"RFC 9111 §5.3 minus one", "-1", none},
		{"RFC 9111 §5.3 empty", "", none},
		{"RFC 9111 §4.2 other zone", "Sun, 06 Nov 1994 08:49:37 UTC", none},
		{"RFC 9111 §4.2 numeric zone", "Sun, 06 Nov 1994 08:49:37 +0000", none},
		{"RFC 9111 §4.2 other zone rfc850", "Sunday, 06-Nov-94 08:49:37 EST", none},
		{"RFC 9110 §5.6.7 no zone", "Sun, 06 Nov 1994 08:49:37", none},
		{"RFC 9110 §5.6.7 one-digit day", "Sun, 6 Nov 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 no comma", "Sun 06 Nov 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 two spaces", "Sun,  06 Nov 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 fraction", "Sun, 06 Nov 1994 08:49:37.5 GMT", none},
		{"RFC 9110 §5.6.7 no such day name", "Sux, 06 Nov 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 no such month", "Sun, 06 Nox 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 month names joined", "Sun, 06 anf 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 no such date", "Wed, 30 Feb 1994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 no such hour", "Sun, 06 Nov 1994 24:00:00 GMT", none},
		{"RFC 9110 §5.6.7 signs", "Sun, 06 Nov +994 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 short day name in rfc850", "Sunda, 06-Nov-94 08:49:37 GMT", none},
		{"RFC 9110 §5.6.7 letters for a year", "Sunday, 06-Nov-9x 08:49:37 GMT", none},
		{"RFC 3339", "1994-11-06T08:49:37Z", none},
		{"not ASCII", "ſun, 06 Nov 1994 08:49:37 GMT", none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseDate(tt.value, epoch)
			assert.Equal(t, !tt.want.IsZero(), ok)
			assert.True(t, tt.want.Equal(got), got)
		})
	}
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDate(s, epoch)
		if !ok {
			assert.True(t, got.IsZero())
			return
		}
		again, ok := ParseDate(string(AppendDate(nil, got)), epoch)
		assert.True(t, ok)
		assert.True(t, got.Equal(again), "%q: %v, %v", s, got, again)
	})
}
