package guardtest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

func compressed(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			_, _ = io.WriteString(w, "hello")
			return
		}
		w.Header().Set("Content-Encoding", "gzip") // and forgets to say Vary
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "hello")
		_ = z.Close()
	})
	for range 2 {
		a := s.ok(s.get("/x/1", "Accept-Encoding", "gzip"))
		require.Equal(s, "gzip", a.Header.Get("Content-Encoding"))
		require.Equal(s, "hello", unzipped(s, a))
		a = s.ok(s.get("/x/1", "Accept-Encoding", "identity"))
		require.Empty(s, a.Header["Content-Encoding"])
		require.Equal(s, "hello", a.body)
	}
	s.runs(2, runs)
}

// said is how much middleware that compresses says before the handler has answered.
type said int

const (
	saidNothing said = iota // as that of chi
	saidVary
	saidCoding
)

// gzipped compresses what h answers for clients that read it, as middleware does. What
// it does not say before h runs it says as late as it can.
func gzipped(h http.Handler, early said) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if early >= saidVary {
			w.Header().Add("Vary", "Accept-Encoding")
		}
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.ServeHTTP(w, r)
			return
		}
		if early >= saidCoding {
			w.Header().Set("Content-Encoding", "gzip")
		}
		z := gzip.NewWriter(w)
		defer func() { _ = z.Close() }()
		h.ServeHTTP(gzipWriter{w, z}, r)
	})
}

type gzipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w gzipWriter) Write(p []byte) (int, error) { return w.z.Write(p) }
func (w gzipWriter) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Encoding", "gzip")
	if len(w.Header()["Vary"]) == 0 {
		w.Header().Set("Vary", "Accept-Encoding")
	}
	w.ResponseWriter.WriteHeader(status)
}

func compressedOutside(e *env) {
	for _, early := range []said{saidNothing, saidVary, saidCoding} {
		handler, runs := counted(write("hello"))
		g := e.guard(guard.Config{Fresh: time.Hour, Namespace: fmt.Sprint(early)})
		app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler}})
		s := e.serveHandler(gzipped(app, early))
		for range 2 {
			// A part is one of what the client is sent, and that is made outside.
			for _, header := range [][]string{{"Accept-Encoding", "gzip"}, {"Accept-Encoding", "gzip", "Range", "bytes=1-3"}} {
				a := s.ok(s.get("/x/1", header...))
				require.Equal(s, []string{"gzip"}, a.Header["Content-Encoding"])
				require.Equal(s, "hello", unzipped(s, a))
			}
			a := s.ok(s.get("/x/1", "Accept-Encoding", "identity"))
			require.Empty(s, a.Header["Content-Encoding"])
			require.Equal(s, "hello", a.body)
			a = s.status(http.StatusPartialContent, s.get("/x/1", "Accept-Encoding", "identity", "Range", "bytes=1-3"))
			require.Equal(s, "ell", a.body)
		}
		s.runs(1, runs)
	}
}

// unzipped is the content of a compressed answer.
func unzipped(t require.TestingT, a answer) string {
	z, err := gzip.NewReader(strings.NewReader(a.body))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(plain)
}
