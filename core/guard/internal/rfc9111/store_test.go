package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRefusal(t *testing.T) {
	const get = http.MethodGet
	cached := []string{"Cache-Control", "max-age=5"}
	cc := func(value string, more ...string) []string { return append([]string{"Cache-Control", value}, more...) }
	auth := []string{"Authorization", "Basic x"}
	tests := []struct {
		name     string
		policy   Policy
		method   string
		request  []string
		status   int
		response []string
		want     Reason
	}{
		{"RFC 9111 §3 explicit freshness", Policy{}, get, nil, 200, cached, OK},
		{"RFC 9111 §3 explicit freshness of any final status", Policy{}, get, nil, 299, cached, OK},
		{"RFC 9111 §3 HEAD", Policy{}, http.MethodHead, nil, 200, cached, ReasonMethod},
		{"RFC 9111 §3 POST", Policy{}, http.MethodPost, nil, 200, cached, ReasonMethod},
		{"RFC 9110 §9.1 methods are case-sensitive", Policy{}, "get", nil, 200, cached, ReasonMethod},
		{"RFC 9111 §3 not final", Policy{}, get, nil, 103, cached, ReasonStatus},
		{"RFC 9111 §3 no status", Policy{}, get, nil, 0, cached, ReasonStatus},
		{"RFC 9111 §3 304", Policy{}, get, nil, 304, cached, ReasonStatus},
		{"RFC 9111 §3 206", Policy{}, get, nil, 206, cached, ReasonPartial},
		{"RFC 9111 §3.3 a part under 200", Policy{}, get, nil, 200, cc("max-age=5", "Content-Range", "bytes 0-1/5"), ReasonPartial},
		{"RFC 9111 §5.2.2.3 understood", Policy{}, get, nil, 404, cc("must-understand, no-store, max-age=5"), OK},
		{"RFC 9111 §5.2.2.3 not understood", Policy{}, get, nil, 299, cc("must-understand, max-age=5"), ReasonMustUnderstand},
		{"RFC 9111 §5.2.2.5 no-store", Policy{}, get, nil, 200, cc("max-age=5, no-store"), ReasonNoStore},
		{"RFC 9111 §5.2.2.7 private", Policy{}, get, nil, 200, cc("max-age=5, private"), ReasonPrivate},
		{"RFC 9111 §5.2.2.3 must-understand does not lift private", Policy{}, get, nil, 200, cc("max-age=5, private, must-understand"), ReasonPrivate},
		{"RFC 9111 §5.2.2.7 private fields", Policy{}, get, nil, 200, cc(`max-age=5, private="set-cookie"`, "Set-Cookie", "a=b"), OK},
		{"RFC 9111 §5.2.2.4 no-cache fields", Policy{}, get, nil, 200, cc(`max-age=5, no-cache="set-cookie"`, "Set-Cookie", "a=b"), OK},
		{"RFC 9111 §7.3 Set-Cookie", Policy{}, get, nil, 200, cc("public, max-age=5", "Set-Cookie", "a=b"), ReasonSetCookie},
		{"RFC 9111 §7.3 Set-Cookie, allowed", Policy{DangerouslyAllowSetCookie: true}, get, nil, 200, cc("max-age=5", "Set-Cookie", "a=b"), OK},
		{"Cookie", Policy{}, get, []string{"Cookie", "a=b"}, 200, cached, ReasonCookie},
		{"Cookie, allowed", Policy{DangerouslyAllowCookies: true}, get, []string{"Cookie", "a=b"}, 200, cached, OK},
		{"Authorization", Policy{}, get, auth, 200, cc("public, max-age=5"), ReasonAuthorization},
		{"Authorization, ignored", Policy{DangerouslyIgnoreAuthorization: true}, get, auth, 200, cached, OK},
		{"RFC 9111 §4.1 Vary: *", Policy{}, get, nil, 200, append(cached, "Vary", "Accept, *"), ReasonVaryAny},
		{"RFC 9111 §4.1 Vary that is no list of names", Policy{}, get, nil, 200, append(cached, "Vary", "a b"), ReasonVaryInvalid},
		{"RFC 9111 §4.1 Vary: Cookie", Policy{}, get, nil, 200, append(cached, "Vary", "Accept, cookie"), ReasonVaryCookie},
		{"RFC 9111 §4.1 Vary: Authorization", Policy{}, get, nil, 200, append(cached, "Vary", "authorization"), ReasonVaryAuth},
		{"RFC 9110 §6.5.1 trailer section", Policy{}, get, nil, 200, append(cached, "Trailer", "X"), ReasonTrailer},
		{"RFC 9111 §3 nothing said", Policy{}, get, nil, 200, nil, ReasonNoLifetime},
		{"RFC 9111 §3 a validator makes it useful", Policy{}, get, nil, 200, []string{"ETag", `"x"`}, OK},
		{"RFC 9111 §3 so does Last-Modified", Policy{}, get, nil, 200, []string{"Last-Modified", date(-1)}, OK},
		{"RFC 9111 §3 no-cache with a validator", Policy{}, get, nil, 200, cc("no-cache", "ETag", `"x"`), OK},
		{"RFC 9111 §3 no-cache without", Policy{}, get, nil, 200, cc("no-cache, max-age=5"), ReasonUseless},
		{"RFC 9111 §3 max-age=0 without validator", Policy{}, get, nil, 200, cc("max-age=0"), ReasonUseless},
		{"RFC 5861 §3 max-age=0 with a window", Policy{}, get, nil, 200, cc("max-age=0, stale-while-revalidate=5"), OK},
		{"RFC 9111 §4.2.3 older than its lifetime", Policy{}, get, nil, 200, append(cached, "Age", "5"), ReasonUseless},
		{"RFC 9111 §3 an error with a validator", Policy{}, get, nil, 500, []string{"ETag", `"x"`}, ReasonNoLifetime},
		{"RFC 9111 §3 an error with freshness", Policy{}, get, nil, 500, cached, OK},
		{"default lifetime", Policy{DefaultLifetime: time.Second}, get, nil, 200, nil, OK},
		{"default lifetime, error", Policy{DefaultLifetime: time.Second}, get, nil, 500, nil, ReasonNoLifetime},
		{"RFC 9111 §5.2.1.5 client's no-store", Policy{}, get, []string{"Cache-Control", "no-store"}, 200, cached, OK},
		{"RFC 9111 §5.2.1.5 client's no-store, obeyed", Policy{ObeyClient: true}, get, []string{"Cache-Control", "no-store"}, 200, cached, ReasonClientNoStore},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := Exchange{Method: tt.method, Request: fields(tt.request...), Response: fields(tt.response...)}
			s := tt.policy.Describe(tt.status, x.Response, epoch, epoch)
			assert.Equal(t, tt.want, tt.policy.Refusal(&x, &s))
		})
	}
}

func TestRefusalOfFieldsInAnotherCase(t *testing.T) {
	raw := http.Header{"Cache-Control": {"max-age=5"}, "set-cookie": {"a=b"}}
	var p Policy
	s := p.Describe(200, raw, epoch, epoch)
	assert.Equal(t, ReasonFieldName, p.Refusal(&Exchange{Method: "GET", Response: raw}, &s))
	assert.Equal(t, ReasonSetCookie, p.Refusal(&Exchange{Method: "GET", Response: Canonical(raw)}, &s))
}

func TestBypass(t *testing.T) {
	tests := []struct {
		name, method string
		h            []string
		want         Reason
	}{
		{"RFC 9111 §4 GET", "GET", nil, OK},
		{"RFC 9111 §4 HEAD", "HEAD", nil, OK},
		{"RFC 9111 §4 OPTIONS", "OPTIONS", nil, ReasonMethod},
		{"RFC 9111 §4.3.2 If-Match", "GET", []string{"If-Match", `"x"`}, ReasonPrecondition},
		{"RFC 9111 §4.3.2 If-Unmodified-Since", "GET", []string{"If-Unmodified-Since", date(0)}, ReasonPrecondition},
		{"RFC 9111 §4.3.2 If-None-Match", "GET", []string{"If-None-Match", `"x"`}, OK},
		{"Authorization", "GET", []string{"Authorization", "x"}, ReasonAuthorization},
		{"Cookie", "GET", []string{"Cookie", "x"}, ReasonCookie},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, (&Policy{}).Bypass(tt.method, fields(tt.h...)))
		})
	}
	h := fields("Authorization", "x", "Cookie", "y")
	assert.Equal(t, OK, (&Policy{DangerouslyIgnoreAuthorization: true, DangerouslyAllowCookies: true}).Bypass("GET", h))
}

func TestStoredHeader(t *testing.T) {
	response := fields(
		"Cache-Control", `max-age=5, private="X-User", no-cache="Set-Cookie"`,
		"X-User", "u", "Set-Cookie", "a=b",
		"Connection", "close, x-hop, Cache-Control", "X-Hop", "h",
		"Keep-Alive", "x", "TE", "x", "Trailer", "x", "Transfer-Encoding", "x", "Upgrade", "x",
		"Proxy-Authenticate", "x", "Proxy-Authentication-Info", "x", "Proxy-Connection", "x", "Proxy-Authorization", "x",
		http.TrailerPrefix+"X", "x",
		"Link", "a", "Link", "b", "Content-Type", "text/plain",
	)
	s := (&Policy{}).Describe(200, response, epoch, epoch)
	stored := StoredHeader(response, &s)
	assert.Equal(t, http.Header{
		"Cache-Control": response["Cache-Control"], // RFC 9110 §7.6.1: never connection-specific
		"Link":          {"a", "b"},
		"Content-Type":  {"text/plain"},
		"Date":          {date(0)}, // RFC 9110 §6.6.1
	}, stored)

	stored["Link"][0] = "changed"
	assert.Equal(t, "a", response["Link"][0], "the copy must be private")
	assert.Equal(t, s, (&Policy{}).Describe(200, StoredHeader(response, &s), epoch, epoch), "what is read back means the same")
}

func TestCanonical(t *testing.T) {
	h := fields("Etag", "x")
	assert.Equal(t, h, Canonical(h))
	mixed := http.Header{"link": {"a"}, "Link": {"b"}}
	got := Canonical(mixed)
	assert.ElementsMatch(t, []string{"a", "b"}, got["Link"])
	assert.Len(t, got, 1)
	assert.Equal(t, http.Header{"link": {"a"}, "Link": {"b"}}, mixed)
}
