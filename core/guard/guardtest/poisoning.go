package guardtest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var poisoning = []behaviour{
	{name: "no request decides what another one gets", test: poisoned},
	{name: "no frame decides what another request gets", test: misframed, only: "h2"},
	{name: "no suffix of a path makes a personal response public", test: deceived},
}

// reflecting answers with everything of a request that it lets decide.
func reflecting(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Vary", "Accept-Language")
	_, _ = fmt.Fprintf(w, "%s %s %s %q %q %q %q", r.Method, strings.ToLower(r.Host), r.URL.RequestURI(), body,
		r.Header["Accept-Language"], r.Header.Get("Authorization")+r.Header.Get("Cookie"),
		r.Header.Get("X-Http-Method-Override")+r.Header.Get("X-Http-Method")+r.Header.Get("X-Method-Override"))
}

const unspoiled = `GET shop.example /x/1?q=2 "" [] "" ""`

// poisoned makes each attack on a cold key and lets the victim come after it,
// then the attacker again.
func poisoned(e *env) {
	var run atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Run", fmt.Sprint(run.Add(1)))
		reflecting(w, r)
	}
	var row atomic.Int64 // a key, and so a cold cache, for each row
	g := e.guard(guard.Config{Fresh: time.Hour, Key: func(*http.Request) (string, error) { return fmt.Sprint("row ", row.Load()), nil }})
	s := e.serve(route(g, handler), Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: handler},
		Route{Method: http.MethodHead, Pattern: "/x/{id}", Guard: g, Handler: handler})
	attacker, victim := s.speaker(), s.speaker()
	defer attacker.close()
	defer victim.close()
	for i, a := range attacks {
		a, sayable := a.over(e.http2)
		if !sayable {
			continue
		}
		row.Store(int64(i))
		shown := a.request[:min(len(a.request), 120)]
		before := run.Load()
		got := attacker.send(a.request)
		if !e.http2 {
			attacker.close() // what follows a malformed request is not to be read as another one
		}
		require.Contains(e, a.answers, got.StatusCode, "%q", shown)
		after := run.Load()
		seen := victim.send(asking(target))
		require.Equal(e, http.StatusOK, seen.StatusCode, "after %q", shown)
		require.Equal(e, unspoiled, seen.body, "after %q", shown)
		require.Equal(e, fmt.Sprint(run.Load()), seen.Header.Get("X-Run"), "after %q", shown)
		switch {
		case a.open:
		case a.shared:
			require.EqualValues(e, before+1, after, "%q", shown)
			require.Equal(e, after, run.Load(), "the victim could have shared the response to %q", shown)
		default:
			require.Equal(e, after+1, run.Load(), "the victim got the response to %q", shown)
		}
	}
}

// frames are requests that only HTTP/2 can say, or that it says in two ways.
var frames = []struct {
	fields []field
	body   string
}{
	{fields: append(pseudo("GET", "https", "evil.example", target), field{Name: "host", Value: "shop.example"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "host", Value: "evil.example"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), pseudo("GET", "https", "evil.example", "/x/1?q=3")...)},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: ":path", Value: "/x/1?q=3"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: ":authority", Value: "evil.example"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: ":method", Value: "POST"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: ":evil", Value: "1"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "x-a", Value: "1"}, field{Name: ":path", Value: "/x/1?q=3"})},
	{fields: append([]field{{Name: "x-a", Value: "1"}}, pseudo("GET", "https", "shop.example", target)...)},
	{fields: pseudo("GET", "https", "shop.example", target)[1:]},
	{fields: pseudo("GET", "https", "shop.example", target)[:3]},
	{fields: slices.Delete(pseudo("GET", "https", "shop.example", target), 2, 3)},
	{fields: append(slices.Delete(pseudo("GET", "https", "shop.example", target), 2, 3), field{Name: "host", Value: "evil.example"})},
	{fields: pseudo("GET", "http", "shop.example", target)},
	{fields: pseudo("GET", "evil", "shop.example", target)},
	{fields: pseudo("GET", "https://evil.example/x/1?q=2#", "shop.example", target)},
	{fields: pseudo("GET", "", "shop.example", target)},
	{fields: pseudo("GET", "https", "", target)},
	{fields: pseudo("GET", "https", "shop.example\r\nHost: evil.example", target)},
	{fields: pseudo("GET", "https", "shop.example/evil", target)},
	{fields: pseudo("GET", "https", "user@shop.example", target)},
	{fields: pseudo("GET", "https", "shop.example", "")},
	{fields: pseudo("GET", "https", "shop.example", "*")},
	{fields: pseudo("GET", "https", "shop.example", "x/1?q=2")},
	{fields: pseudo("GET", "https", "shop.example", "https://evil.example/x/1?q=2")},
	{fields: pseudo("GET", "https", "shop.example", target+" HTTP/1.1\r\nHost: evil.example\r\nX: ")},
	{fields: pseudo("GET", "https", "shop.example", target+"#evil")},
	{fields: pseudo("GET", "https", "shop.example", target+"\x00")},
	{fields: pseudo("GET", "https", "shop.example", "//evil.example/x/1?q=2")},
	{fields: pseudo("GET /x/1?q=3 HTTP/1.1", "https", "shop.example", target)},
	{fields: pseudo("get", "https", "shop.example", target)},
	{fields: pseudo("", "https", "shop.example", target)},
	{fields: pseudo("CONNECT", "https", "shop.example", target)},
	{fields: append(pseudo("CONNECT", "https", "shop.example", target), field{Name: ":protocol", Value: "websocket"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "Accept-Language", Value: "xx-evil"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "accept-language\r\nx-evil", Value: "1"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "accept-language", Value: "xx\r\nx-evil: 1"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "accept-language", Value: "xx\x00"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "accept-language ", Value: "xx"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "x:evil", Value: "1"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "", Value: "1"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "connection", Value: "accept-language"}, field{Name: "accept-language", Value: "xx"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "te", Value: "gzip"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "transfer-encoding", Value: "chunked"}), body: "0\r\n\r\n"},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "content-length", Value: "5"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "content-length", Value: "0"}), body: "evil"},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "content-length", Value: "9"}), body: "evil"},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "content-length", Value: "4"}, field{Name: "content-length", Value: "5"}), body: "evil"},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "content-length", Value: "+4"}), body: "evil"},
	{fields: pseudo("GET", "https", "shop.example", target), body: "evil"},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "cookie", Value: "a=b"}, field{Name: "cookie", Value: "sid=evil"})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "cookie", Value: ""})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "x-evil", Value: strings.Repeat("y", 2<<20)})},
	{fields: append(pseudo("GET", "https", "shop.example", target), field{Name: "authorization", Value: "evil", Sensitive: true})},
}

// misframed asks with each of them, and then for the target by the way of a
// client that knows no better. What a server lets pass may be stored only as what
// it is.
func misframed(e *env) {
	var row atomic.Int64
	g := e.guard(guard.Config{Fresh: time.Hour, Key: func(*http.Request) (string, error) { return fmt.Sprint("row ", row.Load()), nil }})
	s := e.serve(route(g, reflecting), Route{Method: http.MethodPost, Pattern: "/x/{id}", Guard: g, Handler: reflecting})
	attacker, victim := &framed{site: s}, s.speaker()
	defer attacker.close()
	defer victim.close()
	for i, f := range frames {
		row.Store(int64(i))
		got := attacker.sendFields(f.fields, f.body)
		require.Less(e, got.StatusCode, 500, "%q", f.fields)
		seen := victim.send(asking(target))
		require.Equal(e, http.StatusOK, seen.StatusCode, "after %q", f.fields)
		require.Equal(e, unspoiled, seen.body, "after %q", f.fields)
	}
}
