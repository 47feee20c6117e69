package keyfuncs

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// First is the key of the first of fs that has its value: it passes over those
// that fail with a [MissingError], or a [RouteError] where routes name their
// parameter differently, and stops at any other error. When all are missing
// the error is that of the first missing value, or the first RouteError if
// the route has none of the parameters.
//
// Keys of different alternatives differ, even where the values agree. A key of
// the first goes as it is, one of the second is marked ~1: and so on:
//
//	First(Context("user"), IP())   // "alice", or "~1:192.0.2.7"
//
// Otherwise a user who registers as 192.0.2.7 would share that client's key.
// Where one value may truly come in two places, write a Func that finds it.
func First(fs ...Func) Func {
	mustFuncs("First", fs...)
	return func(r *http.Request) (string, error) {
		var missing, lacking error
		for i, f := range fs {
			key, err := f(r)
			if err == nil {
				return tagged(i, key), nil
			}
			if _, ok := errors.AsType[*MissingError](err); ok {
				missing = firstError(missing, err)
			} else if _, ok := errors.AsType[*RouteError](err); ok {
				lacking = firstError(lacking, err)
			} else {
				return "", err
			}
		}
		return "", firstError(missing, lacking)
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// When is the key of then for requests that satisfy cond, and of otherwise for
// the rest. Keys of the two differ, marked as by [First].
func When(cond func(*http.Request) bool, then, otherwise Func) Func {
	mustFuncs("When", then, otherwise)
	if cond == nil {
		panic("keyfuncs: When was given a nil condition")
	}
	return func(r *http.Request) (string, error) {
		i, f := 0, then
		if !cond(r) {
			i, f = 1, otherwise
		}
		key, err := f(r)
		if err != nil {
			return "", err
		}
		return tagged(i, key), nil
	}
}

// tagged marks a key as coming from alternative i. The first alternative goes
// unmarked unless its key could be taken for a mark.
func tagged(i int, key string) string {
	if i == 0 && !strings.HasPrefix(key, "~") {
		return key
	}
	return "~" + strconv.Itoa(i) + ":" + key
}
