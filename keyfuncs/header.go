package keyfuncs

import (
	"errors"
	"net/http"
	"net/textproto"
)

// Header is the first value of the header field name, as r.Header.Get(name)
// gives it. The name is case-insensitive. For the Host header use [Host], for
// a cookie [Cookie].
func Header(name string) Func {
	return must(headerSource(name, sourceConfig{})).single()
}

func headerSource(name string, _ sourceConfig) (source, error) {
	s := source{kind: "header", name: textproto.CanonicalMIMEHeaderKey(name)}
	switch {
	case !isToken(name):
		return s, errors.New("a header name is made of letters, digits and -")
	case s.name == "Host":
		// net/http moves the field out of the header.
		return s, errors.New("the Host header is the source host")
	}
	s.read = func(r *http.Request) (string, bool, error) {
		values := r.Header[s.name]
		if len(values) == 0 {
			return "", false, nil
		}
		return values[0], true, nil
	}
	return s, nil
}

// Cookie is the value of the first cookie called name, as r.Cookie(name)
// gives it. A session cookie is a secret: prefer <cookie:sid|hash> or
// [Hash], so that it does not end up in Redis and in logs.
//
// gin's c.Cookie decodes %XX and + besides, so that a client can spell one value
// in several ways: for a handler that goes by it, so must the key, by
// ginlock.KeyFunc.
func Cookie(name string) Func {
	return must(cookieSource(name, sourceConfig{})).single()
}

func cookieSource(name string, _ sourceConfig) (source, error) {
	s := source{kind: "cookie", name: name}
	if !isToken(name) {
		return s, errors.New("a cookie name is a token without spaces and separators")
	}
	s.read = func(r *http.Request) (string, bool, error) {
		cookie, err := r.Cookie(name)
		if err != nil {
			return "", false, nil
		}
		return cookie.Value, true, nil
	}
	return s, nil
}

var tokenChars = newCharset(letters + digits + "!#$%&'*+-.^_`|~")

// isToken reports whether s is a token as of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChars.has(s[i]) {
			return false
		}
	}
	return s != ""
}
