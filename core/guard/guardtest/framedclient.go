package guardtest

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// speaker sends requests that no client library would.
type speaker interface {
	// send takes a request in the notation of HTTP/1.1. What it is refused
	// without a word is answered with status 0.
	send(request string) answer
	close()
}

// speaker speaks the site's protocol.
func (s *site) speaker() speaker {
	if s.http2 {
		return &framed{site: s}
	}
	return s.wire()
}

// field is a field of HTTP/2, pseudo or not, as it is to go on the wire.
type field = hpack.HeaderField

// framed writes the frames of HTTP/2 itself, on a connection that it opens anew
// when the server has given it up.
type framed struct {
	*site
	conn    net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32
}

func (f *framed) send(request string) answer {
	f.Helper()
	fields, body := translated(request)
	return f.sendFields(fields, body)
}

// translated is a request of HTTP/1.1 as a client would say it in HTTP/2.
func translated(request string) (fields []field, body string) {
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	requestLine, rest, _ := strings.Cut(head, "\r\n")
	method, target, _ := strings.Cut(requestLine, " ")
	target = strings.TrimSuffix(target, " HTTP/1.1")
	authority := ""
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if name == "host" && authority == "" {
			authority = value
		} else if line != "" {
			fields = append(fields, field{Name: name, Value: value})
		}
	}
	return append(pseudo(method, "https", authority, target), fields...), body
}

func pseudo(method, scheme, authority, path string) []field {
	return []field{{Name: ":method", Value: method}, {Name: ":scheme", Value: scheme}, {Name: ":authority", Value: authority}, {Name: ":path", Value: path}}
}

func (f *framed) sendFields(fields []field, body string) answer {
	f.Helper()
	if f.conn == nil {
		f.open()
	}
	f.stream += 2
	f.block.Reset()
	for _, field := range fields {
		require.NoError(f, f.encoder.WriteField(field))
	}
	// A server may have hung up before it has heard everything: read tells.
	_ = f.writeRequest(body)
	a, err := f.read()
	if err != nil {
		f.close()
	}
	return a
}

func (f *framed) open() {
	f.Helper()
	config := f.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos, config.ServerName = []string{"h2"}, "example.com"
	conn, err := tls.Dial("tcp", strings.TrimPrefix(f.url, "https://"), config)
	require.NoError(f, err)
	require.NoError(f, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Write([]byte(http2.ClientPreface))
	require.NoError(f, err)
	f.conn, f.framer, f.stream, f.encoder = conn, http2.NewFramer(conn, conn), ^uint32(0), hpack.NewEncoder(&f.block)
	f.framer.AllowIllegalWrites = true
	f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	require.NoError(f, f.framer.WriteSettings())
}

const maxFrame = 1 << 14

func (f *framed) writeRequest(body string) error {
	block := f.block.Bytes()
	first := block[:min(len(block), maxFrame)]
	err := f.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: f.stream, BlockFragment: first, EndStream: body == "", EndHeaders: len(first) == len(block),
	})
	for block = block[len(first):]; err == nil && len(block) > 0; {
		next := block[:min(len(block), maxFrame)]
		block = block[len(next):]
		err = f.framer.WriteContinuation(f.stream, len(block) == 0, next)
	}
	if err == nil && body != "" {
		err = f.framer.WriteData(f.stream, true, []byte(body))
	}
	return err
}

// read returns the response to the last request; the error says that the
// connection is of no more use.
func (f *framed) read() (answer, error) {
	a := answer{Response: &http.Response{Header: http.Header{}}}
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil {
			return answer{Response: &http.Response{}}, err
		}
		mine := frame.Header().StreamID == f.stream
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.framer.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			return answer{Response: &http.Response{}}, http2.ConnectionError(frame.ErrCode)
		case *http2.RSTStreamFrame:
			if mine {
				return answer{Response: &http.Response{}}, nil
			}
		case *http2.MetaHeadersFrame:
			if mine && a.head(frame) && frame.StreamEnded() {
				return a, nil
			}
		case *http2.DataFrame:
			if n := uint32(len(frame.Data())); n > 0 {
				_ = f.framer.WriteWindowUpdate(0, n)
			}
			a.body += string(frame.Data())
			if mine && frame.StreamEnded() {
				return a, nil
			}
		}
	}
}

// head takes the fields of a response, and reports whether it is the final one.
func (a *answer) head(frame *http2.MetaHeadersFrame) bool {
	status, _ := strconv.Atoi(frame.PseudoValue("status"))
	if status < 200 {
		return false
	}
	a.StatusCode = status
	for _, field := range frame.RegularFields() {
		a.Header[textproto.CanonicalMIMEHeaderKey(field.Name)] = append(a.Header[textproto.CanonicalMIMEHeaderKey(field.Name)], field.Value)
	}
	return true
}

func (f *framed) close() {
	if f.conn != nil {
		_ = f.conn.Close()
		f.conn = nil
	}
}
