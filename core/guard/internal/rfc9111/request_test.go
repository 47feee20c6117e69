package rfc9111

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseRequest(t *testing.T) {
	tests := []struct {
		name string
		h    []string
		want RequestDirectives
	}{
		{"RFC 9111 §5.2.1 absent", nil, RequestDirectives{}},
		{"RFC 9111 §5.2.1 all", []string{"Cache-Control", "No-Cache, no-store, only-if-cached, max-age=1, min-fresh=2, max-stale=3"},
			RequestDirectives{NoCache: true, NoStore: true, OnlyIfCached: true, MaxAge: seconds(1), MinFresh: seconds(2), MaxStale: seconds(3)}},
		{"RFC 9111 §5.2.1.2 max-stale without limit", []string{"Cache-Control", "max-stale"}, RequestDirectives{MaxStale: Delta{MaxDelta, true}}},
		{"RFC 9111 §5.2.1.2 unreadable max-stale", []string{"Cache-Control", "max-stale=x"}, RequestDirectives{}},
		{"RFC 9111 §5.2.1.1 unreadable max-age", []string{"Cache-Control", "max-age=x"}, RequestDirectives{MaxAge: seconds(0)}},
		{"RFC 9111 §5.2.1.3 the greater min-fresh", []string{"Cache-Control", "min-fresh=9, min-fresh=2, min-fresh=x"}, RequestDirectives{MinFresh: seconds(9)}},
		{"RFC 9111 §4.2.1 max-stale that differ", []string{"Cache-Control", "max-stale, max-stale=5"}, RequestDirectives{MaxStale: seconds(0)}},
		{"RFC 9111 §5.4 Pragma", []string{"Pragma", "x, No-Cache"}, RequestDirectives{NoCache: true}},
		{"RFC 9111 §5.4 Pragma is nothing else", []string{"Pragma", "no-store, max-age=0"}, RequestDirectives{}},
		{"RFC 9111 §5.4 Pragma beside Cache-Control", []string{"Pragma", "no-cache", "Cache-Control", "max-age=5"}, RequestDirectives{MaxAge: seconds(5)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, ParseRequest(fields(tt.h...))) })
	}
}

func TestUse(t *testing.T) {
	const plain = "max-age=5"
	tests := []struct {
		name, client, cc string
		at               int
		want             Use
	}{
		{"RFC 9111 §4 fresh", "", plain, 4, Serve},
		{"RFC 9111 §4 stale", "", plain, 5, Forward},
		{"RFC 5861 §3", "", plain + ", stale-while-revalidate=5", 6, ServeAndRefresh},
		{"RFC 5861 §4 only after an error", "", plain + ", stale-if-error=5", 6, Forward},
		{"RFC 9111 §5.2.1.4 no-cache", "no-cache", plain, 1, Forward},
		{"RFC 9111 §5.2.1.1 as old as max-age", "max-age=3", plain, 3, Serve},
		{"RFC 9111 §5.2.1.1 older than max-age", "max-age=3", plain, 4, Forward},
		{"RFC 9111 §5.2.1.1 max-age accepts nothing stale", "max-age=9", plain + ", stale-while-revalidate=5", 6, Forward},
		{"RFC 9111 §5.2.1.1 unless max-stale is there", "max-age=9, max-stale=2", plain, 6, Serve},
		{"RFC 9111 §5.2.1.3 min-fresh met", "min-fresh=2", plain, 3, Serve},
		{"RFC 9111 §5.2.1.3 min-fresh missed", "min-fresh=2", plain, 4, Forward},
		{"RFC 9111 §5.2.1.3 min-fresh accepts nothing stale", "min-fresh=1", plain + ", stale-while-revalidate=5", 6, Forward},
		{"RFC 9111 §5.2.1.2 within max-stale", "max-stale=2", plain, 7, Serve},
		{"RFC 9111 §5.2.1.2 beyond max-stale", "max-stale=2", plain, 8, Forward},
		{"RFC 9111 §5.2.1.2 beyond max-stale, within the window", "max-stale=2", plain + ", stale-while-revalidate=50", 8, Forward},
		{"RFC 9111 §5.2.1.2 any staleness", "max-stale", plain, 5000, Serve},
		{"RFC 9111 §4.2.4 must-revalidate forbids max-stale", "max-stale", plain + ", must-revalidate", 6, Forward},
		{"RFC 9111 §5.2.2.10 s-maxage forbids max-stale", "max-stale", "s-maxage=5", 6, Forward},
		{"RFC 9111 §5.2.2.4 no-cache forbids max-stale", "max-stale", plain + ", no-cache", 1, Forward},
		{"RFC 9111 §5.2.1.7 usable", "only-if-cached", plain, 1, Serve},
		{"RFC 9111 §5.2.1.7 not usable", "only-if-cached", plain, 6, GatewayTimeout},
		{"clock set back", "max-stale", plain, -60, Forward},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := (&Policy{}).Describe(200, fields("Cache-Control", tt.cc), epoch, epoch)
			d := ParseRequest(fields("Cache-Control", tt.client))
			assert.Equal(t, tt.want, d.Use(&s.Freshness, epoch.Add(time.Duration(tt.at)*time.Second)))
		})
	}
	t.Run("RFC 9111 §5.2.1.7 miss", func(t *testing.T) {
		assert.Equal(t, GatewayTimeout, (&RequestDirectives{OnlyIfCached: true}).Use(nil, epoch))
		assert.Equal(t, Forward, (&RequestDirectives{}).Use(nil, epoch))
	})
}

// A client can only narrow what the response allows, max-stale apart.
func FuzzUseNeverLoosens(f *testing.F) {
	f.Add("max-age=3, min-fresh=2", "max-age=5, stale-while-revalidate=9", uint16(4))
	f.Add("only-if-cached, no-cache", "s-maxage=5", uint16(9))
	f.Fuzz(func(t *testing.T, client, cc string, at uint16) {
		s := (&Policy{}).Describe(200, fields("Cache-Control", cc), epoch, epoch)
		d := ParseRequest(fields("Cache-Control", client))
		now := epoch.Add(time.Duration(at) * time.Second)
		use := d.Use(&s.Freshness, now)
		if use == Serve && !d.MaxStale.Set {
			assert.Equal(t, Fresh, s.State(now))
		}
		if use == ServeAndRefresh {
			assert.Equal(t, StaleWhileRevalidate, s.State(now))
		}
		if d.OnlyIfCached {
			assert.NotEqual(t, Forward, use)
		} else {
			assert.NotEqual(t, GatewayTimeout, use)
		}
	})
}

func BenchmarkUse(b *testing.B) {
	s := (&Policy{}).Describe(200, fields("Cache-Control", "max-age=5"), epoch, epoch)
	var d RequestDirectives
	b.ReportAllocs()
	for b.Loop() {
		if d.Use(&s.Freshness, epoch) != Serve {
			b.Fatal("not served")
		}
	}
}
