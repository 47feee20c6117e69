package keyfuncs

import (
	"net/http"
)

// Static is a key of its own, the same for every request. Text other than
// printable ASCII, and the characters % { }, are percent-encoded.
func Static(text string) Func {
	if text == "" {
		panic("keyfuncs: Static needs a text, as an empty key names nothing")
	}
	key := escape(text, plainText)
	return func(*http.Request) (string, error) { return key, nil }
}

// Prefix puts a fixed text before every key of f: Prefix("v2:", f). The text
// is treated as by [Static].
func Prefix(text string, f Func) Func {
	mustFuncs("Prefix", f)
	text = escape(text, plainText)
	return func(r *http.Request) (string, error) {
		key, err := f(r)
		if err != nil {
			return "", err
		}
		return text + key, nil
	}
}

var plainPart = plainText.without(":")

// Join is the keys of all fs, in order, with a colon between them. A colon or
// a percent sign within a part is escaped, so no part can forge its neighbour:
// "x:y" and "z" give x%3Ay:z, "x" and "y:z" give x:y%3Az.
func Join(fs ...Func) Func {
	mustFuncs("Join", fs...)
	return func(r *http.Request) (string, error) {
		var stack [128]byte
		key := stack[:0]
		for i, f := range fs {
			part, err := f(r)
			if err != nil {
				return "", err
			}
			if i > 0 {
				key = append(key, ':')
			}
			key = appendEscaped(key, part, plainPart)
		}
		return string(key), nil
	}
}
