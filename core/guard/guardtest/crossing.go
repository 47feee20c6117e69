package guardtest

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var crossing = []behaviour{
	{name: "a field that Connection withdraws makes no variant", test: withdrawnField, only: "h1"},
	{name: "http and https have responses of their own", test: schemesApart},
	{name: "a 304 that nobody asked for is 502", test: unaskedNotModified},
	{name: "a client's condition holds for a response that is not stored", test: conditionOfUnstored},
	{name: "a field name with a space behind it is that field", test: spacedFieldName},
}

// withdrawnField has a handler that leaves out what Connection lists, as a proxy
// must.
func withdrawnField(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		if strings.Contains(r.Header.Get("Connection"), "Accept-Language") {
			r.Header.Del("Accept-Language")
		}
		_, _ = io.WriteString(w, "in "+r.Header.Get("Accept-Language"))
	})
	wire := s.wire()
	defer wire.close()
	require.Equal(s, "in ", wire.send(asking("/x/1", "Accept-Language: de", "Connection: Accept-Language")).body)
	require.Equal(s, "in de", wire.send(asking("/x/1", "Accept-Language: de")).body)
	require.Equal(s, "in ", wire.send(asking("/x/1", "Accept-Language: de", "Connection: Accept-Language")).body)
}

func schemesApart(e *env) {
	g := e.guard(guard.Config{Fresh: time.Hour})
	app := e.adapter.App([]Route{{Method: http.MethodGet, Pattern: "/x/{id}", Guard: g, Chain: e.chain, Handler: func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			http.Redirect(w, r, "https://shop.example/x/1", http.StatusMovedPermanently)
			return
		}
		_, _ = io.WriteString(w, "secure")
	}}})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS = nil; r.Header.Get("X-Scheme") == "https" {
			r.TLS = &tls.ConnectionState{}
		}
		app.ServeHTTP(w, r)
	}))
	for range 2 {
		s.status(http.StatusMovedPermanently, s.get("/x/1", "X-Scheme", "http"))
		require.Equal(s, "secure", s.ok(s.get("/x/1", "X-Scheme", "https")).body)
	}
}

func unaskedNotModified(e *env) {
	s, _ := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"a"`)
		w.WriteHeader(http.StatusNotModified)
	})
	s.status(http.StatusBadGateway, s.get("/x/1"))
	s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", `"a"`))
}

func conditionOfUnstored(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		w.Header().Set("Etag", `"a"`)
		_, _ = io.WriteString(w, "mine")
	})
	for range 2 {
		require.Equal(s, "mine", s.ok(s.get("/x/1", "If-None-Match", `"b"`)).body)
		a := s.status(http.StatusNotModified, s.get("/x/1", "If-None-Match", `"a"`))
		require.Empty(s, a.body)
		require.Equal(s, `"a"`, a.Header.Get("Etag"))
	}
	s.runs(4, runs)
}

// spacedFieldName has a field as net/http's client leaves it in the response of
// an origin that writes one so.
func spacedFieldName(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Cache-Control "] = []string{"private"}
		_, _ = io.WriteString(w, "mine")
	})
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}
