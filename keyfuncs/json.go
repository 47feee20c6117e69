package keyfuncs

import (
	"encoding/json"
	"net/http"
)

// JSON is the string, number or boolean that pointer (RFC 6901), such as
// "/order/id", finds in a JSON body. The body is read up to the bound of
// [WithMaxBody] and left for the handler as it was.
//
// A string is its content and a number its value, so 42, 42.0, 4.2e1 and "42"
// are one key; null is a value left out. These are a [MalformedError], because
// a handler may read another value from them than the key did: a body that is
// not exactly one JSON text, an object on the way with the member twice, or in
// other case (encoding/json takes "ID" for "id"), and an object or array at the
// end of the way. A longer body is a [BodyTooLargeError].
//
// JSON panics if pointer is not a JSON pointer.
func JSON(pointer string, opts ...Option) Func {
	return bodyFunc("JSON", pointer, jsonSource, opts)
}

// bodyFunc is the single source of a kind that reads the body.
func bodyFunc(caller, name string, make func(string, sourceConfig) (source, error), opts []Option) Func {
	config, err := newSourceConfig("", opts)
	if err != nil {
		panic("keyfuncs: " + caller + ": " + err.Error())
	}
	return must(make(name, config)).single()
}

func jsonSource(pointer string, c sourceConfig) (source, error) {
	s := source{kind: "json", name: pointer}
	path, err := parsePointer(pointer)
	if err != nil {
		return s, err
	}
	s.read = func(r *http.Request) (string, bool, error) {
		return s.readBody(r, c.maxBody, func(body []byte) (string, bool, error) {
			return jsonLookup(body, path)
		})
	}
	return s, nil
}

// readBody applies find to the body of r, unless there is none.
func (s source) readBody(r *http.Request, limit int64, find func([]byte) (string, bool, error)) (string, bool, error) {
	body, err := readBody(r, limit)
	if tooLarge, ok := err.(*BodyTooLargeError); ok {
		return "", false, tooLarge
	}
	var value string
	var present bool
	if err == nil && len(body) > 0 {
		value, present, err = find(body)
	}
	if err != nil {
		return "", false, &MalformedError{Source: s.kind, Name: s.name, Err: err}
	}
	return value, present, nil
}

// jsonLookup returns the text of the scalar at path.
func jsonLookup(body []byte, path []string) (string, bool, error) {
	// The tokens below do not notice trailing text or a missing comma.
	if !json.Valid(body) {
		return "", false, errNotJSON
	}
	return newJSONWalk(body).value(path)
}
