package keyfuncs

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Query is the first value of the query parameter name: what
// r.URL.Query().Get(name) gives the handler, so a repeated parameter cannot
// move a request to another key than the one its handler acts on. Pairs
// with a semicolon or a broken escape are skipped, as [url.ParseQuery] does, and
// all of more pairs than it takes (10000, unless GODEBUG says otherwise).
// For all values of a parameter use [QuerySorted].
func Query(name string) Func {
	return must(querySource(name, sourceConfig{})).single()
}

func querySource(name string, _ sourceConfig) (source, error) {
	s := source{kind: "query", name: name}
	if name == "" {
		return s, errors.New("a query parameter needs a name")
	}
	s.read = func(r *http.Request) (string, bool, error) {
		value, present := queryGet(r.URL.RawQuery, name)
		return value, present, nil
	}
	return s, nil
}

// fewPairs is how many pairs a query may have that is looked through without
// building a map: fewer than any limit of net/url.
const fewPairs = 100

// queryGet is url.ParseQuery(query).Get(name).
func queryGet(query, name string) (value string, present bool) {
	if strings.Count(query, "&") >= fewPairs {
		values, _ := url.ParseQuery(query)
		return values.Get(name), values.Has(name)
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, value, ok := queryPair(pair); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// queryPair decodes one key=value, and refuses what url.ParseQuery skips.
func queryPair(pair string) (key, value string, ok bool) {
	if pair == "" || strings.Contains(pair, ";") {
		return "", "", false
	}
	key, value, _ = strings.Cut(pair, "=")
	key, err := url.QueryUnescape(key)
	if err != nil {
		return "", "", false
	}
	value, err = url.QueryUnescape(value)
	return key, value, err == nil
}
