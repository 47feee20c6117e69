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

// jsonLookup returns the text of the scalar at path.
func jsonLookup(body []byte, path []string) (string, bool, error) {
	// The tokens below do not notice trailing text or a missing comma.
	if !json.Valid(body) {
		return "", false, errNotJSON
	}
	return newJSONWalk(body).value(path)
}
