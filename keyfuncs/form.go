package keyfuncs

import (
	"bytes"
	"errors"
	"mime"
	"mime/multipart"
	"net/http"
)

// Form is the first value of a field in the form the body holds, URL-encoded
// or multipart: what r.PostFormValue(field) gives the handler. Like it, Form
// reads the bodies of POST, PUT and PATCH alone, and no query parameters; for a
// handler that takes those as well, by r.FormValue or echo's c.FormValue, write a
// Func that does. The body is read up to the bound of [WithMaxBody], uploaded files
// included, and left for the handler as it was.
func Form(field string, opts ...Option) Func {
	return bodyFunc("Form", field, formSource, opts)
}

func formSource(field string, c sourceConfig) (source, error) {
	s := source{kind: "form", name: field}
	if field == "" {
		return s, errors.New("a form field needs a name")
	}
	s.read = func(r *http.Request) (string, bool, error) {
		switch {
		case r.PostForm != nil: // parsed by a middleware before us
			values := r.PostForm[field]
			if len(values) == 0 {
				return "", false, nil
			}
			return values[0], true, nil
		case r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch:
			return "", false, nil
		}
		return s.readBody(r, c.maxBody, func(body []byte) (string, bool, error) {
			return formLookup(body, r.Header.Get("Content-Type"), field)
		})
	}
	return s, nil
}

func formLookup(body []byte, contentType, field string) (string, bool, error) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "":
		return "", false, nil
	case err != nil:
		return "", false, errors.New("the Content-Type is malformed")
	case mediaType == "application/x-www-form-urlencoded":
		value, present := queryGet(string(body), field)
		return value, present, nil
	case mediaType == "multipart/form-data":
		return multipartLookup(body, params["boundary"], field)
	default:
		return "", false, nil
	}
}

var errMultipart = errors.New("the body is not the multipart form it claims to be")

// maxFormMemory is how much of a form's files PostFormValue keeps in memory.
const maxFormMemory = 32 << 20

// multipartLookup parses the whole form as handlers do: one that has a part they
// refuse gives them nothing.
func multipartLookup(body []byte, boundary, field string) (string, bool, error) {
	if boundary == "" {
		return "", false, errMultipart
	}
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(maxFormMemory)
	if err != nil {
		return "", false, errMultipart
	}
	defer form.RemoveAll()
	values := form.Value[field]
	if len(values) == 0 {
		return "", false, nil
	}
	return values[0], true, nil
}
