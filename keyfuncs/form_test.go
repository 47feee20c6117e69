package keyfuncs

import (
	"bytes"
	"cmp"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const urlEncoded = "application/x-www-form-urlencoded"

func postForm(body string) *http.Request { return post(urlEncoded, strings.NewReader(body)) }

func TestForm(t *testing.T) {
	requireKey(t, "a%20b", Form("f"), postForm("x=1&f=a+b&f=2"))
	requireKey(t, "1", Form("f"), post(urlEncoded+"; charset=utf-8", strings.NewReader("f=1")))
	for _, body := range []string{"", "x=1", "f=", "f=1;x", "f=%zz"} {
		requireStatus[*MissingError](t, 400, Form("f"), postForm(body))
	}
	require.Panics(t, func() { Form("") })
}

func TestFormIsTheBodyAlone(t *testing.T) {
	r := postForm("x=1")
	r.URL.RawQuery = "f=1"
	requireStatus[*MissingError](t, 400, Form("f"), r)

	// As with PostFormValue, only these methods have a form.
	for method, want := range map[string]bool{"POST": true, "PUT": true, "PATCH": true, "DELETE": false, "GET": false} {
		r := postForm("f=1")
		r.Method = method
		_, err := Form("f")(r)
		require.Equal(t, want, err == nil, method)
		require.Equal(t, want, r.PostFormValue("f") == "1", method)
	}
}

func TestFormOfOtherContentTypes(t *testing.T) {
	requireStatus[*MissingError](t, 400, Form("f"), post("text/plain", strings.NewReader("f=1")))
	requireStatus[*MissingError](t, 400, Form("f"), post("", strings.NewReader("f=1")))
	requireStatus[*MalformedError](t, 400, Form("f"), post("a/b/c", strings.NewReader("f=1")))
}

func TestFormParsedBefore(t *testing.T) {
	r := postForm("f=1")
	require.NoError(t, r.ParseForm())
	requireKey(t, "1", Form("f"), r)
	requireStatus[*MissingError](t, 400, Form("g"), r)
}

func multipartRequest(t *testing.T, write func(*multipart.Writer)) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	write(w)
	require.NoError(t, w.Close())
	return post(w.FormDataContentType(), &body)
}

func TestFormMultipart(t *testing.T) {
	r := multipartRequest(t, func(w *multipart.Writer) {
		file, err := w.CreateFormFile("f", "f.txt")
		require.NoError(t, err)
		_, _ = io.WriteString(file, "not this")
		require.NoError(t, w.WriteField("f", "this"))
		require.NoError(t, w.WriteField("f", "nor this"))
	})
	requireKey(t, "this", Form("f"), r)
	requireStatus[*MissingError](t, 400, Form("g"), r)
	require.Equal(t, "this", r.PostFormValue("f"), "the handler sees the same")
}

func TestFormMultipartMalformed(t *testing.T) {
	for _, contentType := range []string{"multipart/form-data", "multipart/form-data; boundary=b"} {
		r := post(contentType, strings.NewReader("--b\r\nContent-Disposition: form-data; name=f\r\n\r\ncut"))
		requireStatus[*MalformedError](t, 400, Form("f"), r)
	}
}

func TestFormTooLarge(t *testing.T) {
	requireStatus[*BodyTooLargeError](t, 413, Form("f", WithMaxBody(2)), postForm("f=1"))
}

// What the handler's parser refuses gives the handler nothing, and no key either,
// lest a client be locked under another key than its handler acts on.
func TestFormThatHandlersRefuse(t *testing.T) {
	part := func(name string) string {
		return "--b\r\nContent-Disposition: form-data; name=" + name + "\r\n\r\n42\r\n"
	}
	for what, r := range map[string]*http.Request{
		"many fields":         postForm("f=42" + strings.Repeat("&x", 10000)),
		"many parts":          post("multipart/form-data; boundary=b", strings.NewReader(part("f")+strings.Repeat(part("x"), 1000)+"--b--")),
		"no boundary":         post("multipart/form-data", strings.NewReader(strings.ReplaceAll(part("f"), "--b", "--")+"----")),
		"a bad part later on": post("multipart/form-data; boundary=b", strings.NewReader(part("f")+"--b\r\nno header\r\n\r\n42\r\n--b--")),
	} {
		key, err := MustTemplate("<form:f|default=1>")(r)
		if err == nil {
			require.Equal(t, cmp.Or(r.PostFormValue("f"), "1"), key, what)
		} else {
			requireStatus[*MalformedError](t, 400, Form("f"), r)
		}
	}
}

// FuzzForm holds that the key and r.PostFormValue see the same value.
func FuzzForm(f *testing.F) {
	f.Add(urlEncoded, []byte("f=1&f=2"))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=f\r\n\r\n1\r\n--b--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := post(contentType, bytes.NewReader(body))
		key, err := Form("f")(r)
		if err != nil {
			return
		}
		if want := escape(r.PostFormValue("f"), plainValue); key != want {
			t.Fatalf("%q %q: the key is %q, the handler sees %q", contentType, body, key, want)
		}
	})
}
