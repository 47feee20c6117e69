package guardtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"
)

// wire sends requests as they are written, on a connection that it opens anew
// when the server has closed it.
type wire struct {
	*site
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) wire() *wire { return &wire{site: s} }

// send writes one request and reads its answer. What the server may close the
// connection over without a word is status 0.
func (w *wire) send(request string) answer {
	w.Helper()
	for fresh := w.conn == nil; ; fresh = true {
		if w.conn == nil {
			w.conn = w.dial()
			w.in = bufio.NewReader(w.conn)
		}
		_, err := io.WriteString(w.conn, request)
		var resp *http.Response
		if err == nil || fresh { // a server may answer before it has read everything
			resp, err = http.ReadResponse(w.in, &http.Request{Method: method(request)})
		}
		switch {
		case err == nil:
			return w.read(resp)
		case fresh:
			w.close()
			return answer{Response: &http.Response{}}
		}
		w.close()
	}
}

func (w *wire) read(resp *http.Response) answer {
	w.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	if resp.Close {
		w.close()
	}
	return answer{Response: resp, body: string(body)}
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

func method(request string) string {
	m, _, _ := strings.Cut(request, " ")
	return m
}

// asking is a request for a target with the given field lines.
func asking(target string, lines ...string) string {
	var b bytes.Buffer
	b.WriteString("GET " + target + " HTTP/1.1\r\n")
	host := true
	for _, line := range lines {
		host = host && !strings.HasPrefix(strings.ToLower(line), "host:")
	}
	if host {
		b.WriteString("Host: shop.example\r\n")
	}
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}
