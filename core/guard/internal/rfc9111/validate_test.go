package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func describe(status int, pairs ...string) *Stored {
	s := (&Policy{}).Describe(status, fields(pairs...), epoch, epoch)
	return &s
}

func TestEvaluate(t *testing.T) {
	tagged := []string{"ETag", `"x"`, "Last-Modified", date(-time.Hour)}
	tests := []struct {
		name     string
		status   int
		response []string
		request  []string
		want     Precondition
	}{
		{"RFC 9111 §4.3.2 none", 200, tagged, nil, Proceed},
		{"RFC 9110 §13.1.2 match", 200, tagged, []string{"If-None-Match", `"x"`}, NotModified},
		{"RFC 9110 §13.1.2 weak comparison", 200, tagged, []string{"If-None-Match", `W/"x"`}, NotModified},
		{"RFC 9110 §13.1.2 in a list", 200, tagged, []string{"If-None-Match", `"a,b" ,, W/"y","x"`}, NotModified},
		{"RFC 9110 §13.1.2 in another line", 200, tagged, []string{"If-None-Match", `"y"`, "If-None-Match", `"x"`}, NotModified},
		{"RFC 9110 §13.1.2 *", 200, tagged, []string{"If-None-Match", ` * `}, NotModified},
		{"RFC 9110 §13.1.2 other", 200, tagged, []string{"If-None-Match", `"y"`}, Proceed},
		{"RFC 9110 §13.1.2 inside another tag", 200, tagged, []string{"If-None-Match", `"a,"x","b"`}, Proceed},
		{"RFC 9110 §13.1.2 without quotes", 200, tagged, []string{"If-None-Match", `x`}, Proceed},
		{"RFC 9110 §13.1.2 nothing to compare to", 200, nil, []string{"If-None-Match", `""`}, Proceed},
		{"RFC 9110 §13.2.2 If-None-Match goes first", 200, tagged, []string{"If-None-Match", `"y"`, "If-Modified-Since", date(0)}, Proceed},
		{"RFC 9110 §13.2.2 also where it matches", 200, tagged, []string{"If-None-Match", `"x"`, "If-Modified-Since", date(-2 * time.Hour)}, NotModified},
		{"RFC 9110 §13.1.3 same date", 200, tagged, []string{"If-Modified-Since", date(-time.Hour)}, NotModified},
		{"RFC 9110 §13.1.3 later date", 200, tagged, []string{"If-Modified-Since", date(0)}, NotModified},
		{"RFC 9110 §13.1.3 earlier date", 200, tagged, []string{"If-Modified-Since", date(-2 * time.Hour)}, Proceed},
		{"RFC 9110 §13.1.3 no date", 200, tagged, []string{"If-Modified-Since", "yesterday"}, Proceed},
		{"RFC 9110 §13.1.3 two dates", 200, tagged, []string{"If-Modified-Since", date(0), "If-Modified-Since", date(0)}, Proceed},
		{"RFC 9111 §4.3.2 Date for want of Last-Modified", 200, []string{"Date", date(-time.Minute)}, []string{"If-Modified-Since", date(-time.Minute)}, NotModified},
		{"RFC 9111 §4.3.2 Date, earlier", 200, []string{"Date", date(-time.Minute)}, []string{"If-Modified-Since", date(-time.Hour)}, Proceed},
		{"RFC 9111 §4.3.2 time of receipt", 200, nil, []string{"If-Modified-Since", date(0)}, NotModified},
		{"RFC 9110 §13.2.1 not for errors", 404, tagged, []string{"If-None-Match", `"x"`}, Proceed},
		{"RFC 9111 §4.3.2 If-Match is not for caches", 200, tagged, []string{"If-Match", `"y"`}, Proceed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, describe(tt.status, tt.response...).Evaluate(fields(tt.request...)))
		})
	}
}

func TestRangeApplies(t *testing.T) {
	modified := []string{"Last-Modified", date(-time.Hour)}
	tests := []struct {
		name     string
		response []string
		request  []string
		want     bool
	}{
		{"RFC 9110 §13.1.5 absent", nil, nil, true},
		{"RFC 9110 §13.1.5 same tag", []string{"ETag", `"x"`}, []string{"If-Range", `"x"`}, true},
		{"RFC 9110 §13.1.5 other tag", []string{"ETag", `"x"`}, []string{"If-Range", `"y"`}, false},
		{"RFC 9110 §13.1.5 weak tag", []string{"ETag", `W/"x"`}, []string{"If-Range", `W/"x"`}, false},
		{"RFC 9110 §13.1.5 same date", modified, []string{"If-Range", date(-time.Hour)}, true},
		{"RFC 9110 §13.1.5 later date is not the same", modified, []string{"If-Range", date(0)}, false},
		{"RFC 9110 §8.8.2.2 modified in the second of Date", []string{"Last-Modified", date(0)}, []string{"If-Range", date(0)}, false},
		{"RFC 9110 §13.1.5 nothing to compare to", nil, []string{"If-Range", date(0)}, false},
		{"RFC 9110 §13.1.5 neither", modified, []string{"If-Range", "x"}, false},
		{"RFC 9110 §13.1.5 twice", modified, []string{"If-Range", date(-time.Hour), "If-Range", date(-time.Hour)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, describe(200, tt.response...).RangeApplies(fields(tt.request...)))
		})
	}
}

func TestSetNotModified(t *testing.T) {
	h := fields("Content-Type", "a", "Content-Length", "1", "Content-Encoding", "gzip", "Content-Location", "/", "ETag", `"x"`,
		"Last-Modified", "l", "Vary", "v", "Cache-Control", "c", "Content-Security-Policy", "p", "X", "y")
	SetNotModified(h)
	assert.Equal(t, fields("Content-Location", "/", "ETag", `"x"`, "Vary", "v", "Cache-Control", "c", "Content-Security-Policy", "p", "X", "y"), h)

	h = fields("Last-Modified", "l")
	SetNotModified(h)
	assert.Equal(t, fields("Last-Modified", "l"), h)
}

func TestRevalidation(t *testing.T) {
	request := fields("If-None-Match", `"client"`, "If-Match", "*", "If-Range", "r", "Range", "bytes=0-1",
		"If-Unmodified-Since", date(0), "If-Modified-Since", date(0), "Accept", "a")
	before := request.Clone()
	got := describe(200, "ETag", `W/"x"`, "Last-Modified", date(-time.Hour)).Revalidation(request)
	assert.Equal(t, fields("Accept", "a", "If-None-Match", `W/"x"`, "If-Modified-Since", date(-time.Hour)), got)
	assert.Equal(t, before, request)
	assert.Equal(t, http.Header{}, describe(200).Revalidation(nil))
}

func TestConfirms(t *testing.T) {
	modified := date(-time.Hour)
	tests := []struct {
		name                  string
		response, notModified []string
		want                  bool
	}{
		{"RFC 9111 §4.3.4 same strong tag", []string{"ETag", `"x"`}, []string{"ETag", `"x"`}, true},
		{"RFC 9111 §4.3.4 other tag", []string{"ETag", `"x"`}, []string{"ETag", `"y"`}, false},
		{"RFC 9111 §4.3.4 a strong tag does not confirm a weak one", []string{"ETag", `W/"x"`}, []string{"ETag", `"x"`}, false},
		{"RFC 9111 §4.3.4 a weak tag confirms both", []string{"ETag", `"x"`}, []string{"ETag", `W/"x"`}, true},
		{"RFC 9111 §4.3.4 unreadable tag", []string{"ETag", `"x"`}, []string{"ETag", `x`}, false},
		{"RFC 9111 §4.3.4 same date", []string{"Last-Modified", modified}, []string{"Last-Modified", modified}, true},
		{"RFC 9111 §4.3.4 other date", []string{"Last-Modified", modified}, []string{"Last-Modified", date(0)}, false},
		{"RFC 9111 §4.3.4 no validator in either", nil, nil, false},
		{"RFC 9111 §4.3.4 none in the 304", []string{"ETag", `"x"`}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, describe(200, tt.response...).Confirms(fields(tt.notModified...)))
		})
	}
}

func TestConfirmsHead(t *testing.T) {
	s := describe(200, "ETag", `"x"`)
	tests := []struct {
		name   string
		status int
		head   []string
		want   bool
	}{
		{"RFC 9111 §4.3.5 same", 200, []string{"ETag", `"x"`, "Content-Length", "7"}, true},
		{"RFC 9111 §4.3.5 without length", 200, []string{"ETag", `"x"`}, true},
		{"RFC 9111 §4.3.5 other length", 200, []string{"ETag", `"x"`, "Content-Length", "8"}, false},
		{"RFC 9111 §4.3.5 other tag", 200, []string{"ETag", `"y"`, "Content-Length", "7"}, false},
		{"RFC 9111 §4.3.5 no validator", 200, []string{"Content-Length", "7"}, false},
		{"RFC 9111 §4.3.5 no 200", 404, []string{"ETag", `"x"`}, false},
		{"RFC 9111 §4.3.5 unreadable length", 200, []string{"ETag", `"x"`, "Content-Length", "+7"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, s.ConfirmsHead(tt.status, fields(tt.head...), 7)) })
	}
}

func TestFreshen(t *testing.T) {
	stored := fields("Cache-Control", "max-age=5", "ETag", `W/"x"`, "Content-Type", "text/plain", "Content-Encoding", "gzip",
		"Content-Length", "7", "Age", "9", "Date", date(-time.Hour), "Link", "a", "Link", "b", "X-Kept", "k")
	before := stored.Clone()
	update := fields("Cache-Control", "max-age=6", "ETag", `"x"`, "Content-Length", "0", "Content-Encoding", "br", "Link", "c",
		"Connection", "x-hop", "X-Hop", "h", "Proxy-Authenticate", "p", "Date", date(0))
	merged := Freshen(stored, update)
	assert.Equal(t, fields("Cache-Control", "max-age=6", "ETag", `"x"`, "Content-Type", "text/plain", "Content-Encoding", "gzip",
		"Content-Length", "7", "Date", date(0), "Link", "c", "X-Kept", "k"), merged)
	assert.Equal(t, before, stored)
	merged["X-Kept"][0], merged["Link"][0] = "changed", "changed"
	assert.Equal(t, "k", stored.Get("X-Kept"))
	assert.Equal(t, "c", update.Get("Link"))

	t.Run("RFC 9110 §6.6.1 a 304 without Date is dated when received", func(t *testing.T) {
		merged := Freshen(stored, fields("ETag", `"x"`))
		s := (&Policy{}).Describe(200, merged, epoch, epoch)
		assert.Equal(t, date(0), StoredHeader(merged, &s).Get("Date"))
		assert.Equal(t, Fresh, s.State(epoch))
	})
	t.Run("RFC 9111 §3 a 304 may end storing", func(t *testing.T) {
		merged := Freshen(stored, fields("Cache-Control", "no-store"))
		s := (&Policy{}).Describe(200, merged, epoch, epoch)
		assert.Equal(t, ReasonNoStore, (&Policy{}).Refusal(&Exchange{Method: "GET", Response: merged}, &s))
	})
}

func BenchmarkEvaluate(b *testing.B) {
	s := describe(200, "ETag", `"x"`)
	h := fields("If-None-Match", `"a", W/"x"`)
	b.ReportAllocs()
	for b.Loop() {
		if s.Evaluate(h) != NotModified {
			b.Fatal("modified")
		}
	}
}
