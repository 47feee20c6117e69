package rfc9111

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLifetime(t *testing.T) {
	heuristic := Policy{HeuristicMax: 24 * time.Hour}
	defaults := Policy{DefaultLifetime: time.Minute}
	tests := []struct {
		name   string
		policy Policy
		status int
		h      []string
		want   time.Duration
		source LifetimeSource
	}{
		{"RFC 9111 §4.2.1 s-maxage first", Policy{}, 200,
			[]string{"Cache-Control", "max-age=5, s-maxage=7", "Expires", date(time.Hour)}, 7 * time.Second, FromSMaxAge},
		{"RFC 9111 §4.2.1 max-age before Expires", Policy{}, 200,
			[]string{"Cache-Control", "max-age=5", "Expires", date(time.Hour)}, 5 * time.Second, FromMaxAge},
		{"RFC 9111 §4.2.1 Expires − Date", Policy{}, 200,
			[]string{"Date", date(-time.Hour), "Expires", date(time.Hour)}, 2 * time.Hour, FromExpires},
		{"RFC 9110 §6.6.1 Expires without Date", Policy{}, 200,
			[]string{"Expires", date(time.Hour)}, time.Hour, FromExpires},
		{"RFC 9111 §5.3 Expires: 0", defaults, 200, []string{"Expires", "0"}, 0, FromExpires},
		{"RFC 9111 §5.3 Expires in the past", Policy{}, 200, []string{"Expires", date(-time.Hour)}, 0, FromExpires},
		{"RFC 9111 §5.3 Expires beyond the largest delta", Policy{}, 200,
			[]string{"Expires", "Sun, 01 Jan 9999 00:00:00 GMT"}, MaxDelta, FromExpires},
		{"RFC 9111 §4.2.1 two Expires that differ", Policy{}, 200,
			[]string{"Expires", date(time.Hour), "Expires", date(2 * time.Hour)}, 0, FromExpires},
		{"RFC 9111 §4.2.1 two Expires that agree", Policy{}, 200,
			[]string{"Expires", date(time.Hour), "Expires", date(time.Hour)}, time.Hour, FromExpires},
		{"RFC 9111 §4.2.1 invalid s-maxage is stale", Policy{}, 200,
			[]string{"Cache-Control", "max-age=5, s-maxage=x"}, 0, FromSMaxAge},
		{"RFC 9111 §4.2.1 malformed policy is stale", defaults, 200,
			[]string{"Cache-Control", `max-age=5, "`}, 0, FromMaxAge},
		{"RFC 9213 §2.2 Expires ignored", defaults, 200,
			[]string{"CDN-Cache-Control", "public", "Expires", date(time.Hour)}, time.Minute, FromDefault},
		{"RFC 9111 §4.2.2 off", Policy{}, 200, []string{"Last-Modified", date(-10 * time.Hour)}, 0, NoLifetime},
		{"RFC 9111 §4.2.2 a tenth", heuristic, 200, []string{"Last-Modified", date(-10 * time.Hour)}, time.Hour, FromHeuristic},
		{"RFC 9111 §4.2.2 capped", heuristic, 200, []string{"Last-Modified", date(-10000 * time.Hour)}, 24 * time.Hour, FromHeuristic},
		{"RFC 9111 §4.2.2 modified after Date", heuristic, 200, []string{"Last-Modified", date(time.Hour)}, 0, NoLifetime},
		{"RFC 9111 §4.2.2 explicit freshness comes first", heuristic, 200,
			[]string{"Cache-Control", "max-age=5", "Last-Modified", date(-10 * time.Hour)}, 5 * time.Second, FromMaxAge},
		{"RFC 9111 §4.2.2 status without heuristics", heuristic, 500, []string{"Last-Modified", date(-10 * time.Hour)}, 0, NoLifetime},
		{"RFC 9111 §4.2.2 public lifts that", heuristic, 500,
			[]string{"Cache-Control", "public", "Last-Modified", date(-10 * time.Hour)}, time.Hour, FromHeuristic},
		{"default", defaults, 404, nil, time.Minute, FromDefault},
		{"default not for errors", defaults, 500, nil, 0, NoLifetime},
		{"RFC 9111 §5.2.2.4 no default for no-cache", defaults, 200, []string{"Cache-Control", "no-cache"}, 0, FromDefault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.policy.Targets = []string{"CDN-Cache-Control"}
			s := tt.policy.Describe(tt.status, fields(tt.h...), epoch, epoch)
			assert.Equal(t, tt.want, s.Lifetime)
			assert.Equal(t, tt.source, s.Source)
		})
	}
}

func TestAge(t *testing.T) {
	tests := []struct {
		name  string
		delay time.Duration
		h     []string
		want  time.Duration
	}{
		{"RFC 9111 §4.2.3 nothing known", 0, nil, 0},
		{"RFC 9111 §4.2.3 apparent age", 0, []string{"Date", date(-7 * time.Second)}, 7 * time.Second},
		{"RFC 9111 §4.2.3 Date ahead of us", 0, []string{"Date", date(time.Hour)}, 0},
		{"RFC 9111 §4.2.3 Age", 0, []string{"Age", "9"}, 9 * time.Second},
		{"RFC 9111 §4.2.3 response delay", 2 * time.Second, []string{"Age", "9"}, 11 * time.Second},
		{"RFC 9111 §4.2.3 the greater", 2 * time.Second, []string{"Age", "9", "Date", date(-time.Minute)}, time.Minute},
		{"RFC 9111 §5.1 first of a list", 0, []string{"Age", "9, 3"}, 9 * time.Second},
		{"RFC 9111 §5.1 first of several lines", 0, []string{"Age", "9", "Age", "3"}, 9 * time.Second},
		{"RFC 9111 §5.1 negative is ignored", 0, []string{"Age", "-9"}, 0},
		{"RFC 9111 §5.1 float is ignored", 0, []string{"Age", "9.5"}, 0},
		{"RFC 9111 §5.1 text is ignored", 0, []string{"Age", "nine"}, 0},
		{"RFC 9111 §1.2.2 overflow", 0, []string{"Age", "99999999999999999999"}, MaxDelta},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := (&Policy{}).Describe(200, fields(tt.h...), epoch.Add(-tt.delay), epoch)
			assert.Equal(t, tt.want, s.Age(epoch))
			assert.Equal(t, tt.want+3*time.Second, s.Age(epoch.Add(3*time.Second)))
			assert.Equal(t, -tt.want, s.TTL(epoch))
		})
	}
	t.Run("a handler known to be the origin", func(t *testing.T) {
		s := (&Policy{}).Describe(200, nil, time.Time{}, epoch)
		assert.Zero(t, s.Age(epoch))
	})
}

func TestState(t *testing.T) {
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	stale := Policy{DefaultStale: 10 * time.Second}
	tests := []struct {
		name   string
		policy Policy
		cc     string
		at     time.Time
		want   State
	}{
		{"RFC 9111 §4.2 fresh", Policy{}, "max-age=5", at(4), Fresh},
		{"RFC 9111 §4.2 stale when as old as its lifetime", Policy{}, "max-age=5", at(5), Expired},
		{"RFC 5861 §3 within", Policy{}, "max-age=5, stale-while-revalidate=10", at(14), StaleWhileRevalidate},
		{"RFC 5861 §3 over", Policy{}, "max-age=5, stale-while-revalidate=10", at(15), Expired},
		{"RFC 5861 §4 within", Policy{}, "max-age=5, stale-if-error=10", at(14), StaleIfError},
		{"RFC 5861 §4 after §3", Policy{}, "max-age=5, stale-while-revalidate=5, stale-if-error=10", at(14), StaleIfError},
		{"default window", stale, "max-age=5", at(14), StaleWhileRevalidate},
		{"a window of its own wins over the default", stale, "max-age=5, stale-while-revalidate=0", at(14), StaleIfError},
		{"no default window for what is stale from the start", stale, "max-age=0", at(1), Expired},
		{"RFC 5861 §3 but for its own", stale, "max-age=0, stale-while-revalidate=5", at(1), StaleWhileRevalidate},
		{"no default window for a malformed lifetime", stale, "max-age=x", at(1), Expired},
		{"default window of a silent response", stale, "", at(1), StaleWhileRevalidate},
		{"RFC 9111 §4.2.4 must-revalidate", stale, "max-age=5, must-revalidate, stale-if-error=10", at(6), Expired},
		{"RFC 9111 §4.2.4 proxy-revalidate", stale, "max-age=5, proxy-revalidate", at(6), Expired},
		{"RFC 9111 §5.2.2.10 s-maxage", stale, "s-maxage=5, stale-while-revalidate=10", at(6), Expired},
		{"RFC 9111 §5.2.2.4 no-cache", stale, "max-age=5, no-cache", at(1), Expired},
		{"RFC 9111 §4.2.1 malformed", stale, "max-age=5, =", at(1), Expired},
		{"clocks of a fleet", Policy{}, "max-age=5", at(-1), Fresh},
		{"clock set back", stale, "max-age=5", at(-2), Expired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.policy.Describe(200, fields("Cache-Control", tt.cc), epoch, epoch)
			assert.Equal(t, tt.want, s.State(tt.at))
		})
	}
}

// A response only ever ages: whatever its policy, once it may not be served it
// never may again, and Reusable tells when that is.
func FuzzStateIsMonotonic(f *testing.F) {
	f.Add("max-age=5, stale-while-revalidate=10", "3", uint16(4), uint16(9))
	f.Add("s-maxage=5, stale-if-error=100", "-1", uint16(0), uint16(60))
	f.Fuzz(func(t *testing.T, cc, age string, first, then uint16) {
		p := Policy{DefaultLifetime: time.Minute, DefaultStale: time.Minute}
		s := p.Describe(200, fields("Cache-Control", cc, "Age", age), epoch, epoch)
		early := epoch.Add(time.Duration(first) * time.Second)
		late := early.Add(time.Duration(then) * time.Second)
		if s.State(early) == Expired {
			assert.Equal(t, Expired, s.State(late))
		}
		if s.State(late) == Fresh {
			assert.Equal(t, Fresh, s.State(early))
		}
		assert.LessOrEqual(t, s.TTL(late), s.TTL(early))
		assert.Equal(t, s.State(late) != Expired, late.Sub(epoch) < s.Reusable())
	})
}

func BenchmarkState(b *testing.B) {
	s := (&Policy{}).Describe(200, fields("Cache-Control", "max-age=5, stale-while-revalidate=5", "Etag", `"x"`), epoch, epoch)
	now := epoch.Add(7 * time.Second)
	b.ReportAllocs()
	for b.Loop() {
		if s.State(now) != StaleWhileRevalidate {
			b.Fatal("not stale")
		}
	}
}

func BenchmarkDescribe(b *testing.B) {
	h := fields("Cache-Control", "public, max-age=60, stale-while-revalidate=30", "Date", date(0), "Etag", `"x"`,
		"Last-Modified", date(-time.Hour), "Vary", "Accept-Encoding, Origin")
	var p Policy
	b.ReportAllocs()
	for b.Loop() {
		if s := p.Describe(200, h, epoch, epoch); s.Lifetime != time.Minute {
			b.Fatal(s.Lifetime)
		}
	}
}

func TestReuseDecisionsDoNotAllocate(t *testing.T) {
	s := (&Policy{}).Describe(200, fields("Cache-Control", "max-age=5", "Etag", `"x"`), epoch, epoch)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = s.State(epoch)
		_ = s.Age(epoch)
		_ = s.TTL(epoch)
	}))
}
