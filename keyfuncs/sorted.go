package keyfuncs

import (
	"maps"
	"net/http"
	"slices"
)

var plainQuery = plainValue.without("=")

// QuerySorted is all values of the query parameters called names, or of all
// parameters when no names are given, in one canonical form:
//
//	?a=1&a=2&b=3
//
// Parameters are sorted by name; the values of one parameter keep their order,
// which means something to the handler. Escapes are the same however the
// client wrote them. What [url.ParseQuery] skips is skipped. An absent
// parameter leaves nothing, and a request with none of them has the key "?".
//
// Every parameter a client can invent makes a key of its own when no names
// are given: name them wherever the handler ignores the others.
func QuerySorted(names ...string) Func {
	names = slices.Clone(names)
	if slices.Contains(names, "") {
		panic("keyfuncs: QuerySorted: a query parameter needs a name")
	}
	return func(r *http.Request) (string, error) {
		values := r.URL.Query()
		key := []byte{'?'}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if len(names) > 0 && !slices.Contains(names, name) {
				continue
			}
			key = appendPairs(key, name, values[name])
		}
		return string(key), nil
	}
}

func appendPairs(key []byte, name string, values []string) []byte {
	for _, value := range values {
		if len(key) > 1 {
			key = append(key, '&')
		}
		key = appendEscaped(key, name, plainQuery)
		key = append(key, '=')
		key = appendEscaped(key, value, plainQuery)
	}
	return key
}
