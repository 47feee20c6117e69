package keyfuncs

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

var (
	errNotJSON   = errors.New("the body is not one valid JSON text")
	errNotScalar = errors.New("the value is an object or an array, not a string, number or boolean")
	errAmbiguous = errors.New("an object on the way has the member twice, or in other case")
)

// jsonWalk follows a JSON pointer through a valid JSON text. It goes on to the
// end of every object on the way, to see members that stand twice.
type jsonWalk struct{ dec *json.Decoder }

func newJSONWalk(text []byte) jsonWalk {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return jsonWalk{dec}
}

// value consumes the next value and returns the scalar at path within it.
func (w jsonWalk) value(path []string) (string, bool, error) {
	token, err := w.dec.Token()
	if err != nil {
		return "", false, err
	}
	delim, composite := token.(json.Delim)
	switch {
	case !composite && len(path) > 0:
		return "", false, nil
	case !composite:
		return scalarText(token)
	case len(path) == 0:
		return "", false, errNotScalar
	case delim == '{':
		return w.member(path)
	default:
		return w.element(path)
	}
}

// member consumes the rest of an object.
func (w jsonWalk) member(path []string) (value string, present bool, err error) {
	seen := false
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return "", false, err
		}
		name, _ := token.(string)
		switch {
		case !strings.EqualFold(name, path[0]):
			err = w.skip()
		case seen || name != path[0]:
			err = errAmbiguous
		default:
			seen = true
			value, present, err = w.value(path[1:])
		}
		if err != nil {
			return "", false, err
		}
	}
	_, err = w.dec.Token() // the closing brace
	return value, present, err
}

// element consumes the rest of an array.
func (w jsonWalk) element(path []string) (value string, present bool, err error) {
	for i := 0; w.dec.More(); i++ {
		if strconv.Itoa(i) == path[0] { // leading zeros name nothing
			value, present, err = w.value(path[1:])
		} else {
			err = w.skip()
		}
		if err != nil {
			return "", false, err
		}
	}
	_, err = w.dec.Token() // the closing bracket
	return value, present, err
}

func (w jsonWalk) skip() error {
	var ignored json.RawMessage
	return w.dec.Decode(&ignored)
}

func scalarText(token json.Token) (string, bool, error) {
	switch v := token.(type) {
	case string:
		return v, true, nil
	case bool:
		return strconv.FormatBool(v), true, nil
	case json.Number:
		text, err := canonicalNumber(v.String())
		return text, true, err
	default: // null
		return "", false, nil
	}
}

// parsePointer splits a JSON pointer into its reference tokens (RFC 6901).
func parsePointer(pointer string) ([]string, error) {
	if pointer == "" {
		return nil, nil // the whole text
	}
	if pointer[0] != '/' {
		return nil, errors.New("a JSON pointer begins with a slash, as in /order/id")
	}
	path := strings.Split(pointer[1:], "/")
	for i, token := range path {
		if strings.Count(token, "~") != strings.Count(token, "~0")+strings.Count(token, "~1") {
			return nil, errors.New("in a JSON pointer ~ is written ~0, and / within a name ~1")
		}
		path[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return path, nil
}
