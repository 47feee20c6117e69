package guard_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

// The server removes the files of an upload with the request that it knows, and
// middleware outside of the Guard reads the form that the handler has parsed.
func TestFormOfTheHandlerIsTheServersToo(t *testing.T) {
	for name, cfg := range map[string]guard.Config{
		"serialized": {},
		"cached":     {Fresh: time.Hour, Store: cache.NewMemory(1 << 20)},
		"idempotent": {Idempotent: &guard.Idempotent{Required: true}, Store: cache.NewMemory(1 << 20)},
	} {
		for _, routed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				cfg.Locks = newLocks(t)
				cfg.Key = func(*http.Request) (string, error) { return "upload", nil }
				g, err := guard.New(cfg)
				require.NoError(t, err)
				defer g.Close()
				file := make(chan string, 1)
				next := func(_ http.ResponseWriter, r *http.Request) error {
					file <- uploaded(t, r)
					return nil
				}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if routed {
						assert.NoError(t, g.ServeRouted(w, guard.NewRouted(r.Context(), r, "/"), next))
					} else {
						assert.NoError(t, g.Serve(w, r, next))
					}
					assert.Equal(t, "shown", r.PostFormValue("title"))
				}))
				defer server.Close()
				upload(t, server.URL)
				server.Close() // waits until the server is through with the request
				require.NoFileExists(t, <-file)
			})
		}
	}
}

// uploaded is the file on disk that r's upload is in.
func uploaded(t *testing.T, r *http.Request) string {
	if !assert.NoError(t, r.ParseMultipartForm(0)) {
		return ""
	}
	f, err := r.MultipartForm.File["picture"][0].Open()
	if !assert.NoError(t, err) {
		return ""
	}
	defer f.Close()
	on, ok := f.(*os.File)
	if !assert.True(t, ok, "is on disk") {
		return ""
	}
	return on.Name()
}

func upload(t *testing.T, url string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	require.NoError(t, form.WriteField("title", "shown"))
	file, err := form.CreateFormFile("picture", "p.png")
	require.NoError(t, err)
	_, err = io.WriteString(file, "pixels")
	require.NoError(t, err)
	require.NoError(t, form.Close())
	req, err := http.NewRequest(http.MethodPost, url, &body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Idempotency-Key", "1")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}
