package guard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
)

// errBodyRead: what cannot be compared must not be taken for the same.
var errBodyRead error = bodyReadError{}

type bodyReadError struct{}

func (bodyReadError) Error() string {
	return "guard: the body was read before the Guard could, so that its Idempotency-Key cannot be checked: put the Guard first, or restore the body"
}

// HTTPStatus makes it a mistake in the program, which is logged.
func (bodyReadError) HTTPStatus() int { return http.StatusInternalServerError }

// fingerprint reads the body and sums up what a repetition has to have in common
// with the first request. Of a form that was parsed already it takes the fields.
func (g *Guard) fingerprint(r *http.Request) (*http.Request, []byte, error) {
	sum := sha256.New()
	for _, part := range []string{r.Host, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type")} {
		sum.Write(appendField(nil, part))
	}
	parsed, err := sumForm(sum, r)
	if err != nil || r.Body == nil || r.Body == http.NoBody {
		return r, sum.Sum(nil), err
	}
	limit := max(g.ReadAhead, defaultReadAhead)
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil || int64(len(body)) > limit:
		return r, nil, errors.Join(ErrBodyTooLarge, err)
	case len(body) == 0 && r.ContentLength > 0 && !parsed:
		return r, nil, errBodyRead
	}
	sum.Write(body)
	read := r.WithContext(r.Context())
	read.Body = &aheadBody{Reader: bytes.NewReader(body), Closer: r.Body}
	return read, sum.Sum(nil), nil
}

// sumForm reports whether the form was parsed.
func sumForm(sum hash.Hash, r *http.Request) (parsed bool, err error) {
	form := r.MultipartForm
	if form == nil {
		sumFields(sum, r.PostForm)
		return r.PostForm != nil, nil
	}
	sumFields(sum, form.Value)
	for _, name := range slices.Sorted(maps.Keys(form.File)) {
		for _, file := range form.File[name] {
			sum.Write(appendField(appendField(nil, name), file.Filename))
			err = errors.Join(err, sumFile(sum, file))
		}
	}
	return true, err
}

func sumFields(sum hash.Hash, fields map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			sum.Write(appendField(appendField(nil, name), value))
		}
	}
}

// sumFile sums the content up by itself, so that it cannot pass for what follows.
func sumFile(sum hash.Hash, file *multipart.FileHeader) error {
	f, err := file.Open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // was only read
	content := sha256.New()
	_, err = io.Copy(content, f)
	sum.Write(content.Sum(nil))
	return err
}
