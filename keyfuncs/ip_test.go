package keyfuncs

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// from returns a request of a peer with header lines "Name: value".
func from(peer string, lines ...string) *http.Request {
	r := get("/")
	r.RemoteAddr = peer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestIPWithoutTrustIgnoresHeaders(t *testing.T) {
	r := from("203.0.113.9:1234", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-Ip: 10.0.0.1")
	requireKey(t, "203.0.113.9", IP(), r)
	requireKey(t, "203.0.113.9", MustTemplate("<ip>"), r)
	requireKey(t, "203.0.113.9", IP(netip.MustParsePrefix("10.0.0.0/8")), r)
}

func TestIPOfPeer(t *testing.T) {
	requireKey(t, "2001:db8::1", IP(), from("[2001:DB8:0::1]:443"))
	requireKey(t, "192.0.2.1", IP(), from("[::ffff:192.0.2.1]:443"))
	requireKey(t, "fe80::1", IP(), from("[fe80::1%eth0]:443"))
	requireStatus[*MissingError](t, 400, IP(), from("@"))
	requireStatus[*MissingError](t, 400, IP(), from(""))
}

func TestIPBehindTrustedProxies(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		key   string // empty: a MalformedError
	}{
		{"no header", nil, "10.0.0.1"},
		{"one proxy", []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"forged from the left", []string{"X-Forwarded-For: 1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"garbage from the left", []string{"X-Forwarded-For: <script>, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", []string{"X-Forwarded-For: 1.1.1.1, 198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		{"two lines", []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"port", []string{"X-Forwarded-For: 198.51.100.7:5555"}, "198.51.100.7"},
		{"brackets and port", []string{"X-Forwarded-For: [2001:db8::7]:5555"}, "2001:db8::7"},
		{"from inside", []string{"X-Forwarded-For: 10.2.2.2, 10.3.3.3"}, "10.2.2.2"},
		{"mapped", []string{"X-Forwarded-For: ::ffff:198.51.100.7"}, "198.51.100.7"},
		{"unknown node", []string{"X-Forwarded-For: 198.51.100.7, unknown"}, ""},
		{"blank node", []string{"X-Forwarded-For: 198.51.100.7,"}, ""},
		{"blank header", []string{"X-Forwarded-For: "}, "10.0.0.1"},
		{"forwarded", []string{"Forwarded: for=1.1.1.1, for=198.51.100.7;proto=https"}, "198.51.100.7"},
		{"forwarded IPv6", []string{`Forwarded: By=x;FOR="[2001:db8::7]:4711"`}, "2001:db8::7"},
		{"forwarded brackets", []string{`Forwarded: for="[2001:db8::7]"`}, "2001:db8::7"},
		{"quoted comma", []string{`Forwarded: by="a,for=1.1.1.1\",";for=198.51.100.7`}, "198.51.100.7"},
		{"obfuscated", []string{"Forwarded: for=_hidden"}, ""},
		{"no for", []string{"Forwarded: for=198.51.100.7, proto=https"}, ""},
		{"two for", []string{"Forwarded: for=198.51.100.7;for=1.1.1.1"}, ""},
		{"open quote", []string{`Forwarded: by="x`, "Forwarded: for=198.51.100.7"}, ""},
		{"both agree", []string{"X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7"}, "198.51.100.7"},
		{"one forged", []string{"X-Forwarded-For: 198.51.100.7", "Forwarded: for=1.1.1.1"}, ""},
	}
	f := IP(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := from("10.0.0.1:80", tt.lines...)
			if tt.key != "" {
				requireKey(t, tt.key, f, r)
				return
			}
			malformed := requireStatus[*MalformedError](t, 400, f, r)
			require.Contains(t, malformed.Error(), "cannot read ip: ")
		})
	}
}

func TestTemplateIPTrusts(t *testing.T) {
	mapped := netip.MustParsePrefix("::ffff:10.0.0.0/104")
	f := MustTemplate("ip_<ip>", WithTrustedProxies(mapped))
	requireKey(t, "ip_198.51.100.7", f, from("10.0.0.1:80", "X-Forwarded-For: 198.51.100.7"))
	require.Panics(t, func() { IP(netip.Prefix{}) })
}

// FuzzIP holds that nothing a client writes in front of what a trusted proxy
// appends changes the key.
func FuzzIP(f *testing.F) {
	f.Add("1.1.1.1, ", "unknown")
	f.Add(`"`, `for=1.1.1.1;by="`)
	key := IP(netip.MustParsePrefix("10.0.0.0/8"))
	f.Fuzz(func(t *testing.T, legacy, forwarded string) {
		r := from("10.0.0.1:80")
		r.Header["X-Forwarded-For"] = []string{legacy, "198.51.100.7"}
		if got := keyOf(t, key, r); got != "198.51.100.7" {
			t.Fatalf("X-Forwarded-For %q gives %q", legacy, got)
		}
		// A quotation mark left open swallows what follows: an error, but
		// never another address of the client's choice.
		r.Header = http.Header{"Forwarded": {forwarded, "for=198.51.100.7"}}
		if got, err := key(r); err == nil && got != "198.51.100.7" {
			t.Fatalf("Forwarded %q gives %q", forwarded, got)
		}
	})
}
