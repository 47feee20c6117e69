package keyfuncs

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// post returns a POST request with a body of unknown length, which cannot be
// refused by its Content-Length alone.
func post(contentType string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(body))
	r.ContentLength = -1
	r.Header.Set("Content-Type", contentType)
	return r
}

func postJSON(body string) *http.Request { return post("application/json", strings.NewReader(body)) }

// failing gives text and then err.
func failing(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotest.ErrReader(err))
}

func TestBodyIsLeftForTheHandler(t *testing.T) {
	const body = `{"id": 42, "note": "some more text"}`
	for _, limit := range []int64{1, 5, int64(len(body)) - 1, int64(len(body)), 1 << 20} {
		r := postJSON(body)
		_, err := JSON("/id", WithMaxBody(limit))(r)
		require.Equal(t, limit < int64(len(body)), err != nil)
		require.NoError(t, iotest.TestReader(r.Body, []byte(body)), "limit %d", limit)
	}
}

func TestBodyErrorsAreLeftForTheHandler(t *testing.T) {
	broken := errors.New("connection reset")
	const text = `{"id": 42}`
	for _, limit := range []int64{3, int64(len(text)), 100} {
		r := post("application/json", failing(text, broken))
		_, err := JSON("/id", WithMaxBody(limit))(r)
		require.Error(t, err)
		if limit >= int64(len(text)) {
			require.ErrorIs(t, err, broken)
			var malformed *MalformedError
			require.ErrorAs(t, err, &malformed)
		}
		got, err := io.ReadAll(r.Body)
		require.Equal(t, text, string(got))
		require.ErrorIs(t, err, broken)
		_, err = r.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, broken)
	}
}

func TestBodyTooLarge(t *testing.T) {
	large := strings.Repeat(" ", DefaultMaxBody-1) + "42"

	err := requireStatus[*BodyTooLargeError](t, 413, JSON(""), postJSON(large))
	require.EqualValues(t, DefaultMaxBody, err.Limit)
	requireKey(t, "42", JSON(""), postJSON(large[1:]))
	requireKey(t, "42", JSON("", WithMaxBody(DefaultMaxBody+1)), postJSON(large))

	// An outer bound counts as well, and keeps its own figure.
	r := postJSON(large)
	r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 10)
	err = requireStatus[*BodyTooLargeError](t, 413, JSON(""), r)
	require.EqualValues(t, 10, err.Limit)
}

func TestBodyTooLargeByContentLengthIsNotRead(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("must not be read")))
	r.ContentLength = 11
	requireStatus[*BodyTooLargeError](t, 413, JSON("/id", WithMaxBody(10)), r)
}

func TestBodyAbsent(t *testing.T) {
	for _, r := range []*http.Request{
		{Method: http.MethodPost, Body: nil},
		{Method: http.MethodPost, Body: http.NoBody},
		postJSON(""),
	} {
		requireStatus[*MissingError](t, 400, JSON("/id"), r)
	}
}

func TestBodyIsReadOnceForSeveralSources(t *testing.T) {
	r := post("application/json", iotest.OneByteReader(strings.NewReader(`{"a":1,"b":2}`)))
	f := Join(MustTemplate("<json:/a>_<json:/b>"), JSON("/b"))
	requireKey(t, "1_2:2", f, r)
	first := r.Body
	requireKey(t, "1_2:2", f, r)
	require.Same(t, first, r.Body)
}

func TestBodyBoundsOfSeveralSources(t *testing.T) {
	narrow, wide := JSON("/a", WithMaxBody(4)), JSON("/a")
	r := postJSON(`{"a":1}`)
	requireStatus[*BodyTooLargeError](t, 413, narrow, r)
	requireKey(t, "1", wide, r)
	requireStatus[*BodyTooLargeError](t, 413, narrow, r)
	require.NoError(t, iotest.TestReader(r.Body, []byte(`{"a":1}`)))
}

func TestBodyPartlyReadByTheHandlerIsNotReadTwice(t *testing.T) {
	r := postJSON(`1 {"a":2}`)
	requireStatus[*MalformedError](t, 400, JSON("/a"), r)
	_, err := io.CopyN(io.Discard, r.Body, 2)
	require.NoError(t, err)
	requireKey(t, "2", JSON("/a"), r)
}

type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

func TestBodyClose(t *testing.T) {
	body := &closeRecorder{Reader: strings.NewReader("42")}
	r := postJSON("")
	r.Body = body
	requireKey(t, "42", JSON(""), r)
	require.False(t, body.closed)
	require.NoError(t, r.Body.Close())
	require.True(t, body.closed)
	_, err := r.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
}

// FuzzBody holds that the handler reads the same bytes and the same end of the
// body as if no key had been taken, whatever the bound.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"id":1}`), uint16(3), false, true)
	f.Add([]byte(``), uint16(1), true, false)
	broken := errors.New("broken")
	f.Fuzz(func(t *testing.T, body []byte, limit uint16, fails, byteWise bool) {
		var reader io.Reader = bytes.NewReader(body)
		var want error
		if fails {
			reader, want = failing(string(body), broken), broken
		}
		if byteWise {
			reader = iotest.DataErrReader(iotest.OneByteReader(reader))
		}
		r := post("application/json", reader)
		_, _ = JSON("/id", WithMaxBody(int64(limit)+1))(r)
		got, err := io.ReadAll(r.Body)
		if !bytes.Equal(got, body) || !errors.Is(err, want) {
			t.Fatalf("the handler reads %q, %v; not %q, %v", got, err, body, want)
		}
	})
}
