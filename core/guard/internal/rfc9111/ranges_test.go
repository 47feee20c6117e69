package rfc9111

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseRanges(t *testing.T) {
	one := func(start, length int64) []Range { return []Range{{start, length}} }
	tests := []struct {
		name, value string
		want        []Range
		outcome     Ranges
	}{
		{"RFC 9110 §14.1.2 first and last", "bytes=2-4", one(2, 3), RangesSatisfiable},
		{"RFC 9110 §14.1.2 one byte", "bytes=0-0", one(0, 1), RangesSatisfiable},
		{"RFC 9110 §14.1.2 open", "bytes=7-", one(7, 3), RangesSatisfiable},
		{"RFC 9110 §14.1.2 last beyond the end", "bytes=7-99", one(7, 3), RangesSatisfiable},
		{"RFC 9110 §14.1.2 last beyond any number", "bytes=7-99999999999999999999999", one(7, 3), RangesSatisfiable},
		{"RFC 9110 §14.1.2 suffix", "bytes=-3", one(7, 3), RangesSatisfiable},
		{"RFC 9110 §14.1.2 suffix longer than all", "bytes=-99999999999999999999", one(0, 10), RangesSatisfiable},
		{"RFC 9110 §14.1.2 several", "bytes=8-, 0-1 ,-1", []Range{{8, 2}, {0, 2}, {9, 1}}, RangesSatisfiable},
		{"RFC 9110 §14.1.2 some unsatisfiable", "bytes=10-, 0-1", one(0, 2), RangesSatisfiable},
		{"RFC 9110 §14.1 unit in any case", "Bytes=0-1", one(0, 2), RangesSatisfiable},
		{"RFC 9110 §5.6.1.2 empty elements", "bytes=,0-1,", one(0, 2), RangesSatisfiable},
		{"RFC 9110 §15.5.17 behind the end", "bytes=10-", nil, RangesUnsatisfiable},
		{"RFC 9110 §15.5.17 far behind the end", "bytes=99999999999999999999-", nil, RangesUnsatisfiable},
		{"RFC 9110 §14.1.2 suffix of nothing", "bytes=-0", nil, RangesUnsatisfiable},
		{"RFC 9110 §14.1.2 suffix of nothing among others", "bytes=-0,0-0", one(0, 1), RangesSatisfiable},
		{"RFC 9110 §14.2 other unit", "lines=0-1", nil, RangesIgnored},
		{"RFC 9110 §14.2 no unit", "0-1", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 last before first", "bytes=4-2", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 signs", "bytes=+1-2", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 negative", "bytes=1--2", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 space inside", "bytes=1 - 2", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 only a hyphen", "bytes=-", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 nothing", "bytes=", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 only commas", "bytes=,,", nil, RangesIgnored},
		{"RFC 9110 §14.1.2 one malformed spoils all", "bytes=0-1,x", nil, RangesIgnored},
		{"RFC 9110 §17.15 more than the whole", "bytes=0-,0-", nil, RangesIgnored},
		{"RFC 9110 §17.15 two that overlap", "bytes=0-2,1-3", []Range{{0, 3}, {1, 3}}, RangesSatisfiable},
		{"RFC 9110 §17.15 many that overlap", "bytes=0-1,0-1,0-1", nil, RangesIgnored},
		{"RFC 9110 §17.15 commas without end", "bytes=0-1" + strings.Repeat(",", 100), nil, RangesIgnored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, outcome := ParseRanges([]string{tt.value}, 10)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.outcome, outcome)
		})
	}
	t.Run("RFC 9110 §17.15 many small ones", func(t *testing.T) {
		set := "bytes=0-0" + strings.Repeat(",5-5", maxRanges)
		_, outcome := ParseRanges([]string{set}, 1000)
		assert.Equal(t, RangesIgnored, outcome)
	})
	for name, lines := range map[string][]string{"absent": nil, "twice": {"bytes=0-1", "bytes=0-1"}} {
		_, outcome := ParseRanges(lines, 10)
		assert.Equal(t, RangesIgnored, outcome, name)
	}
	_, outcome := ParseRanges([]string{"bytes=0-1"}, 0)
	assert.Equal(t, RangesIgnored, outcome, "nothing to take a part of")
}

const body = "0123456789"

func answer(t *testing.T, value string) (Partial, http.Header, string) {
	t.Helper()
	h := fields("Content-Type", "text/plain", "ETag", `"x"`, "Cache-Control", "max-age=5", "Cdn-Cache-Control", "max-age=5",
		"Content-Digest", "d", "Vary", "v")
	p := PlanPartial([]string{value}, int64(len(body)), "text/plain")
	p.SetHeader(h)
	var content bytes.Buffer
	require.NoError(t, p.Write(&content, []byte(body)))
	assert.EqualValues(t, content.Len(), p.Length)
	return p, h, content.String()
}

func TestPartial(t *testing.T) {
	t.Run("RFC 9110 §15.3.7.1 one part", func(t *testing.T) {
		p, h, content := answer(t, "bytes=2-4")
		assert.Equal(t, http.StatusPartialContent, p.Status)
		assert.Equal(t, "234", content)
		assert.Equal(t, fields("Content-Type", "text/plain", "ETag", `"x"`, "Cache-Control", "max-age=5", "Cdn-Cache-Control", "max-age=5",
			"Vary", "v", "Content-Range", "bytes 2-4/10", "Content-Length", "3"), h)
	})
	t.Run("RFC 9110 §15.3.7.2 several parts", func(t *testing.T) {
		p, h, content := answer(t, "bytes=0-0,-2")
		assert.Equal(t, http.StatusPartialContent, p.Status)
		assert.Empty(t, h["Content-Range"])
		mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		require.NoError(t, err)
		assert.Equal(t, "multipart/byteranges", mediaType)
		parts := multipart.NewReader(strings.NewReader(content), params["boundary"])
		for _, want := range []struct{ contentRange, content string }{{"bytes 0-0/10", "0"}, {"bytes 8-9/10", "89"}} {
			part, err := parts.NextPart()
			require.NoError(t, err)
			got, err := io.ReadAll(part)
			require.NoError(t, err)
			assert.Equal(t, want.content, string(got))
			assert.Equal(t, want.contentRange, part.Header.Get("Content-Range"))
			assert.Equal(t, "text/plain", part.Header.Get("Content-Type"))
		}
		_, err = parts.NextPart()
		assert.ErrorIs(t, err, io.EOF)
	})
	t.Run("RFC 9110 §15.5.17 unsatisfiable", func(t *testing.T) {
		p, h, content := answer(t, "bytes=10-")
		assert.Equal(t, http.StatusRequestedRangeNotSatisfiable, p.Status)
		assert.Empty(t, content)
		assert.Equal(t, fields("Content-Range", "bytes */10", "Content-Length", "0", "Vary", "v"), h)
	})
	t.Run("RFC 9110 §14.2 ignored", func(t *testing.T) {
		p, h, content := answer(t, "lines=1-2")
		assert.Equal(t, http.StatusOK, p.Status)
		assert.Equal(t, body, content)
		assert.Equal(t, "10", h.Get("Content-Length"))
		assert.Empty(t, h["Content-Range"])
	})
}

// emptySuffix is a range that cannot be satisfied (RFC 9110 §14.1.2), and of
// which net/http makes a part without content, "bytes 10-9/10".
var emptySuffix = regexp.MustCompile(`[=,][ \t]*-0+[ \t]*(,|$)`)

// What net/http's own file server says is the measure, where it is no laxer.
func FuzzPartialAgreesWithServeContent(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-3", "bytes=10-", "bytes=0-0,-2", "bytes=0-,0-", "x", "bytes=-0,0-0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := PlanPartial([]string{value}, int64(len(body)), "text/plain")
		var content bytes.Buffer
		require.NoError(t, p.Write(&content, []byte(body)))
		assert.EqualValues(t, content.Len(), p.Length)
		if p.Status != http.StatusPartialContent || p.boundary != "" || emptySuffix.MatchString(value) {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", strings.ToLower(trimOWS(value)))
		w := httptest.NewRecorder()
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(body))
		if w.Code == http.StatusPartialContent {
			assert.Equal(t, w.Body.String(), content.String())
		}
	})
}

func BenchmarkPlanPartial(b *testing.B) {
	for name, lines := range map[string][]string{"absent": nil, "one": {"bytes=0-99"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p := PlanPartial(lines, 2048, "text/plain"); p.Length == 0 {
					b.Fatal("nothing to send")
				}
			}
		})
	}
}
