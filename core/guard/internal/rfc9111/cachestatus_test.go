package rfc9111

import (
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCacheStatus(t *testing.T) {
	tests := []struct {
		name string
		c    CacheStatus
		want string
	}{
		{"RFC 9211 §2.1 hit", CacheStatus{Cache: "dlm"}, "dlm;hit"},
		{"RFC 9211 §2.1 a hit says nothing of forwarding", CacheStatus{Cache: "dlm", Stored: true, Collapsed: CollapsedReused}, "dlm;hit"},
		{"RFC 9211 §2.2 miss", CacheStatus{Cache: "dlm", Fwd: FwdURIMiss, Stored: true, Collapsed: CollapsedReused},
			"dlm;fwd=uri-miss;stored;collapsed"},
		{"RFC 9211 §2.6 collapsed in vain", CacheStatus{Cache: "dlm", Fwd: FwdStale, Collapsed: CollapsedInVain}, "dlm;fwd=stale;collapsed=?0"},
		{"RFC 9211 §2.4 ttl", CacheStatus{Cache: "dlm", TTL: 59900 * time.Millisecond, HasTTL: true}, "dlm;hit;ttl=59"},
		{"RFC 9211 §2.4 negative ttl", CacheStatus{Cache: "dlm", TTL: -time.Millisecond, HasTTL: true}, "dlm;hit;ttl=-1"},
		{"RFC 9211 §2.4 zero ttl", CacheStatus{Cache: "dlm", HasTTL: true}, "dlm;hit;ttl=0"},
		{"RFC 9211 §2.8 detail of any bytes", CacheStatus{Cache: "dlm", Detail: "a\"\\\n%é"}, `dlm;hit;detail="a\"\\%0A%25%C3%A9"`},
		{"RFC 9211 §2.8 detail", CacheStatus{Cache: "dlm", Fwd: FwdBypass, Detail: "set-cookie"}, "dlm;fwd=bypass;detail=set-cookie"},
		{"RFC 9211 §2.8 detail as a string", CacheStatus{Cache: "dlm", Fwd: FwdBypass, Detail: "a b"}, `dlm;fwd=bypass;detail="a b"`},
		{"RFC 9211 §2 name as a string", CacheStatus{Cache: "my cache"}, `"my cache";hit`},
		{"RFC 9211 §2 no name", CacheStatus{}, `"";hit`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, string(tt.c.Append(nil)))
			_, err := httpsfv.UnmarshalList([]string{tt.want})
			assert.NoError(t, err)
		})
	}
}

func TestCacheStatusAddTo(t *testing.T) {
	h := fields("Cache-Status", "origin;hit", "Cache-Status", "", "Cache-Status", "cdn;fwd=miss")
	(&CacheStatus{Cache: "dlm"}).AddTo(h)
	assert.Equal(t, fields("Cache-Status", "origin;hit, cdn;fwd=miss, dlm;hit"), h, "RFC 9211 §2: nearest to the origin first")

	h = fields()
	(&CacheStatus{Cache: "dlm"}).AddTo(h)
	assert.Equal(t, fields("Cache-Status", "dlm;hit"), h)
}

func TestReasonsAreTokens(t *testing.T) {
	for _, r := range []Reason{ReasonMethod, ReasonCookie, ReasonAuthorization, ReasonPrecondition, ReasonClientNoStore, ReasonStatus,
		ReasonPartial, ReasonMustUnderstand, ReasonNoStore, ReasonPrivate, ReasonSetCookie, ReasonTrailer, ReasonFieldName, ReasonVaryAny,
		ReasonVaryCookie, ReasonVaryAuth, ReasonVaryInvalid, ReasonNoLifetime, ReasonUseless} {
		assert.True(t, isSFToken(string(r)), r)
	}
}

// Whatever the names, an independent parser reads back one member that says the same.
func FuzzCacheStatus(f *testing.F) {
	f.Add("dlm", "detail", int64(5), uint8(0))
	f.Add("d m\x00", "\"\\é;x", int64(-5), uint8(3))
	f.Fuzz(func(t *testing.T, cache, detail string, ttl int64, bits uint8) {
		c := CacheStatus{Cache: cache, Detail: detail, TTL: time.Duration(ttl), HasTTL: true, Stored: bits&1 != 0}
		if bits&2 != 0 {
			c.Fwd = FwdStale
		}
		list, err := httpsfv.UnmarshalList([]string{string(c.Append(nil))})
		require.NoError(t, err)
		require.Len(t, list, 1)
		item, ok := list[0].(httpsfv.Item)
		require.True(t, ok)
		_, hit := item.Params.Get("hit")
		_, fwd := item.Params.Get("fwd")
		assert.True(t, hit != fwd)
		seconds, _ := item.Params.Get("ttl")
		assert.EqualValues(t, floorSeconds(c.TTL), seconds)
		said, ok := item.Params.Get("detail")
		assert.Equal(t, detail != "", ok)
		if quoted, ok := said.(string); ok && !strings.ContainsFunc(detail, func(r rune) bool { return r < ' ' || r > '~' || r == '%' }) {
			assert.Equal(t, detail, quoted)
		}
	})
}

func BenchmarkCacheStatusAppend(b *testing.B) {
	c := CacheStatus{Cache: "dlm", TTL: time.Minute, HasTTL: true}
	dst := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = c.Append(dst[:0])
	}
}
