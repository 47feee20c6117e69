package guardtest

import (
	"net/http"
	"slices"
	"strings"
)

// attack is a request that another one comes after.
type attack struct {
	request string
	// What it gets: 0 in answers stands for a connection closed without a word.
	answers []int
	// Whether the victim may get the response the attack has made: only where the
	// attack asked for the very same.
	shared bool
	// What becomes of it is its own affair, as long as nobody else sees of it.
	open bool
}

// over is the attack in another protocol. Whatever is malformed or about the
// connection in HTTP/1.1 may be refused there or mean nothing.
func (a attack) over(http2 bool) (_ attack, sayable bool) {
	if !http2 {
		return a, true
	}
	fields, _ := translated(a.request)
	for _, field := range fields {
		switch field.Name {
		case "connection", "transfer-encoding", "upgrade", "proxy-connection", "content-length":
			a.open = true
		}
	}
	requestLine, _, _ := strings.Cut(a.request, "\r\n")
	if a.open = a.open || !slices.Contains(a.answers, http.StatusOK) || !strings.Contains(requestLine, " /"); a.open {
		a.answers = append(slices.Clip(a.answers), 0, 200, 400)
	}
	return a, strings.HasSuffix(requestLine, " HTTP/1.1") && len(a.request) < 1<<20 // frames has one that is larger
}

const target = "/x/1?q=2"

// asked is the attack that asks for the victim's target with other field lines.
func asked(shared bool, lines ...string) attack {
	return attack{request: asking(target, lines...), answers: []int{200}, shared: shared}
}

// refused is one that the server turns away.
func refused(answers []int, lines ...string) attack {
	return attack{request: asking(target, lines...), answers: answers}
}

// fat has a body.
func fat(lines, body string) attack {
	return attack{request: "GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n" + lines + "\r\n" + body, answers: []int{200}}
}

// line is a request line of the attacker's.
func line(text string, answers ...int) attack {
	return attack{request: text + "\r\nHost: shop.example\r\n\r\n", answers: answers}
}

var bad = []int{0, 400}

var attacks = slices.Concat([]attack{
	// The same request, so the same response.
	asked(true),
	asked(true, "host: SHOP.EXAMPLE"),
	asked(true, "Host:shop.example  "),
	asked(true, "Content-Length: 0"),
	asked(true, "User-Agent: x"),
	asked(true, "Accept: application/json"),
	asked(true, "TE: trailers"),
	asked(true, "X-Anything: "+strings.Repeat("y", 8000)),
	// Another Host.
	asked(false, "Host: evil.example"),
	asked(false, "Host: shop.example.evil.example"),
	asked(false, "Host: evil.example:80"),
	asked(false, "Host: shop.example:80"),
	asked(false, "Host: shop.example:8080"),
	asked(false, "Host: shop.example."),
	asked(false, "Host: www.shop.example"),
	asked(false, "Host: shop-example"),
	asked(false, "Host: 127.0.0.1"),
	asked(false, "Host: [::1]"),
	asked(false, "Host: xn--shop-example"),
	asked(false, "Host: "),
	asked(false, "Host: shop.example:"),
	attack{request: asking("http://evil.example"+target, "Host: shop.example"), answers: []int{200}},
	attack{request: asking("http://evil.example:80"+target, "Host: shop.example"), answers: []int{200}},
	attack{request: asking("https://shop.example"+target, "Host: evil.example"), answers: []int{200}},
	attack{request: asking("http://shop.example"+target, "Host: evil.example"), answers: []int{200}},
	attack{request: asking("http://user:pw@shop.example"+target, "Host: shop.example"), answers: []int{200, 400}},
	attack{request: "GET " + target + " HTTP/1.0\r\n\r\n", answers: []int{200}},
	refused(bad, "Host: shop.example", "Host: evil.example"),
	refused(bad, "Host: shop.example\r\n evil.example"),
	refused(bad, "Host: evil.example/path"),
	refused(bad, "Host: user@evil.example"),
	refused(bad, "Host: evil example"),
	refused(bad, "Host: evil.example\x00"),
	refused(bad, "Host: \"evil\""),
	refused(bad, "Host: evil.example, shop.example"),
	refused(bad, "Host: {evil}"),
	refused(bad, "Host: evil\\example"),
	{request: "GET " + target + " HTTP/1.1\r\n\r\n", answers: bad},
	// Another target.
	{request: asking("/x/1?q=3"), answers: []int{200}},
	{request: asking("/x/1?q=2&q=3"), answers: []int{200}},
	{request: asking("/x/1?q=2&"), answers: []int{200}},
	{request: asking("/x/1?q=2&utm_source=evil"), answers: []int{200}},
	{request: asking("/x/1?q=2&_method=DELETE"), answers: []int{200}},
	{request: asking("/x/1?q=2&callback=evil"), answers: []int{200}},
	{request: asking("/x/1?q=2;r=3"), answers: []int{200}},
	{request: asking("/x/1?q=%32"), answers: []int{200}},
	{request: asking("/x/%31?q=2"), answers: []int{200}},
	{request: asking("/x/1?Q=2"), answers: []int{200}},
	{request: asking("/x/1?q=2%00"), answers: []int{200}},
	{request: asking("/x/1?q=2%0d%0aX-Evil:1"), answers: []int{200}},
	{request: asking("/x/1?q=2%23evil"), answers: []int{200}},
	{request: asking("/x/1%3Fq=2"), answers: []int{200}},
	{request: asking("/x/1"), answers: []int{200}},
	{request: asking("/x/1?"), answers: []int{200}},
	// A body that the victim does not send.
	fat("Content-Length: 4\r\n", "evil"),
	fat("Content-Length: 1\r\n", "\x00"),
	fat("Transfer-Encoding: chunked\r\n", "4\r\nevil\r\n0\r\n\r\n"),
	fat("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
	fat("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n", "q=3"),
	fat("Content-Type: application/json\r\nContent-Length: 2\r\n", "{}"),
	// Requests that mean one thing here and another one elsewhere.
	refused(bad, "Content-Length: 4", "Content-Length: 5"),
	refused(bad, "Content-Length: +4"),
	refused(bad, "Content-Length: -1"),
	refused(bad, "Content-Length: 4 4"),
	refused(bad, "Content-Length: 0x4"),
	refused(bad, "Content-Length: 99999999999999999999"),
	refused(bad, "Content-Length : 0"),
	refused([]int{0, 400, 501}, "Transfer-Encoding: xchunked"),
	refused([]int{0, 400, 501}, "Transfer-Encoding: chunked, identity"),
	refused([]int{0, 400, 501}, "Transfer-Encoding: identity, chunked"),
	refused([]int{0, 400, 501}, "Transfer-Encoding: \x0bchunked"),
	refused([]int{0, 400, 501}, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
	refused(bad, "Transfer-Encoding : chunked"),
	// Fields that are none.
	refused(bad, "X Evil: 1"),
	refused(bad, "X-Evil\x00: 1"),
	refused(bad, "X-Evil: a\x00b"),
	refused(bad, "X-Evil: a\rb"),
	refused(bad, "X-Evil: a\x7fb"),
	refused(bad, "X-Evil"),
	refused(bad, ": evil"),
	refused(bad, " X-Evil: 1"),
	refused(bad, "X-Evil:\x01"),
	refused(bad, "X-Évil: 1"),
	refused(bad, "(evil): 1"),
	refused([]int{431}, "X-Evil: "+strings.Repeat("y", 2<<20)),
	refused([]int{431}, strings.TrimSuffix(strings.Repeat("X-Evil: y\r\n", 200_000), "\r\n")),
	// Credentials, whose responses are somebody's own.
	asked(false, "Authorization: Basic ZXZpbA=="),
	asked(false, "Authorization: Bearer evil"),
	asked(false, "Authorization:"),
	asked(false, "authorization: x"),
	asked(false, "Cookie: sid=evil"),
	asked(false, "cookie: a=b; c=d"),
	asked(false, "Cookie:"),
	// Other methods, said in the line and elsewhere.
	line("POST "+target+" HTTP/1.1", 200),
	line("HEAD "+target+" HTTP/1.1", 200),
	line("DELETE "+target+" HTTP/1.1", 404, 405),
	line("PUT "+target+" HTTP/1.1", 404, 405),
	line("PURGE "+target+" HTTP/1.1", 404, 405),
	line("BAN "+target+" HTTP/1.1", 404, 405),
	line("OPTIONS "+target+" HTTP/1.1", 204, 404, 405),
	line("TRACE "+target+" HTTP/1.1", 404, 405),
	line("get "+target+" HTTP/1.1", 404, 405),
	line("Get "+target+" HTTP/1.1", 404, 405),
	line("GETX "+target+" HTTP/1.1", 404, 405),
	line("G\x00ET "+target+" HTTP/1.1", bad...),
	line("GET  "+target+" HTTP/1.1", bad...),
	line("GET "+target+"  HTTP/1.1", bad...),
	line("GET "+target+" HTTP/1.1 ", bad...),
	line("GET "+target+" HTTP/9.9", 0, 400, 505),
	line("GET "+target+" XTTP/1.1", bad...),
	line("GET "+target, bad...),
	line(" GET "+target+" HTTP/1.1", bad...),
	asked(false, "X-HTTP-Method-Override: DELETE"),
	asked(false, "X-HTTP-Method: DELETE"),
	asked(false, "X-Method-Override: DELETE"),
	asked(false, "x-http-method-override: PUT"),
	asked(false, "X-HTTP-Method-Override:"),
	// Parts and conditions: what they get is no answer to the victim.
	{request: asking(target, "Range: bytes=0-0"), answers: []int{200, 206}},
	{request: asking(target, "Range: bytes=0-0,2-2"), answers: []int{200, 206}},
	{request: asking(target, "Range: bytes=99999-"), answers: []int{200, 416}},
	{request: asking(target, "Range: evil"), answers: []int{200, 416}},
	{request: asking(target, "If-Match: \"evil\""), answers: []int{200}},
	{request: asking(target, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), answers: []int{200}},
	{request: asking(target, "If-None-Match: *"), answers: []int{304}, shared: true},
	{request: asking(target, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"), answers: []int{200, 304}, shared: true},
	asked(true, "If-None-Match: \"evil\""),
	asked(true, "If-Range: \"evil\""),
	// What a client may not ask of the cache unless it is obeyed.
	asked(true, "Cache-Control: no-store"),
	asked(true, "Cache-Control: no-cache"),
	asked(true, "Cache-Control: max-age=0"),
	asked(true, "Cache-Control: only-if-cached"),
	asked(true, "Pragma: no-cache"),
	asked(true, "Cache-Tag: evil"),
	asked(true, "Surrogate-Key: evil"),
	asked(true, "Surrogate-Control: max-age=9999"),
	asked(true, "CDN-Cache-Control: max-age=9999"),
	asked(true, "Expires: Fri, 01 Jan 2100 00:00:00 GMT"),
	asked(true, "Vary: *"),
	asked(true, "Age: 9999"),
	asked(true, "Set-Cookie: sid=evil"),
	asked(true, "Cache-Status: evil;hit"),
	asked(true, "ETag: \"evil\""),
	asked(true, "Idempotency-Key: evil"),
	// Negotiation that the handler does by its Vary.
	asked(false, "Accept-Language: xx-evil"),
	asked(false, "Accept-Language: de", "Accept-Language: fr"),
	asked(false, "Accept-Language:"),
	// Another protocol.
	asked(false, "Connection: Upgrade", "Upgrade: evil"),
	asked(false, "Connection: Upgrade", "Upgrade: websocket"),
	asked(false, "Upgrade: h2c"),
	asked(true, "Connection: close"),
	asked(true, "Connection: Host"),
	asked(true, "Connection: Accept-Language, X-Forwarded-For"), // has neither
	asked(true, "Connection: keep-alive, TE", "TE: trailers"),
	asked(false, "Connection: X-Evil", "X-Evil: 1"),
	asked(false, "Connection: close, accept-encoding", "Accept-Encoding: gzip"),
	asked(false, "Connection: close", "Connection: ,X-Forwarded-For ", "X-Forwarded-For: 127.0.0.1"),
}, unkeyed(
	"X-Forwarded-Host: evil.example", "X-Forwarded-Server: evil.example", "X-Host: evil.example", "X-Real-Host: evil.example",
	"X-Original-Host: evil.example", "X-HTTP-Host-Override: evil.example", "Forwarded: host=evil.example;proto=https",
	"X-Forwarded-Scheme: nothttps", "X-Forwarded-Proto: nothttps", "X-Forwarded-Protocol: x", "X-Forwarded-Ssl: off", "Front-End-Https: on",
	"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Forwarded-Path: /evil", "X-Forwarded-Uri: /evil", "X-Script-Name: /evil",
	"X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Original-URI: /evil", "Request-URI: /evil", "X-Override-URL: /evil",
	"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: evil, 127.0.0.1", "X-Real-Ip: 127.0.0.1", "X-Client-Ip: 127.0.0.1",
	"X-Cluster-Client-Ip: 127.0.0.1", "True-Client-Ip: 127.0.0.1", "Cf-Connecting-Ip: 127.0.0.1", "Fastly-Client-Ip: 127.0.0.1",
	"Client-Ip: 127.0.0.1", "Via: evil", "Origin: http://evil.example", "Referer: http://evil.example/", "X-Requested-With: evil",
	"Accept-Encoding: evil", "Accept-Charset: evil", "Content-Type: evil", "Content-Encoding: evil", "X-Wap-Profile: http://evil.example/",
	"Max-Forwards: 0", "Expect:", "Date: evil", "From: evil", "Dnt: 1", "Save-Data: on", "Priority: u=0", "Proxy-Connection: evil",
	"Sec-Fetch-Site: cross-site", "Purpose: prefetch", "X-Amz-Website-Redirect-Location: evil", "Access-Control-Request-Method: DELETE",
	"Proxy: http://evil.example/", "X-Debug: 1", "X-Evil: %0d%0aSet-Cookie: sid=evil",
))

// unkeyed are fields that dlm neither reads nor believes, and this handler does
// not either: a request with one of them is the same request.
func unkeyed(lines ...string) (attacks []attack) {
	for _, line := range lines {
		attacks = append(attacks, asked(true, line))
	}
	return attacks
}
