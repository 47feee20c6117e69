package rfc9111

import (
	"strconv"

	"github.com/dunglas/httpsfv"
)

// parseTargeted reads a targeted Cache-Control field, a structured-fields
// dictionary. An empty or unparsable one is as good as absent (RFC 9213 §2.1).
func parseTargeted(lines []string) (d Directives, ok bool) {
	if len(lines) == 0 {
		return d, false
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return d, false
	}
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		if e, stated := targetedDirective(name, member); stated {
			d.add(e)
		}
	}
	d.settle()
	d.Flags |= Targeted
	return d, true
}

// targetedDirective reads one dictionary member. Parameters mean nothing, and
// a value of another type than the directive's is not converted (RFC 9213
// §2.1): max-age="60" is malformed. A false member states nothing.
func targetedDirective(name string, member httpsfv.Member) (e directive, stated bool) {
	e = directive{name: name, ok: true}
	item, _ := member.(httpsfv.Item) // an inner list has no meaning in any directive
	switch value := item.Value.(type) {
	case bool:
		return e, value
	case int64:
		e.hasArg, e.arg, e.ok = true, strconv.FormatInt(value, 10), e.kind() != listing
	case string:
		e.hasArg, e.arg, e.ok = true, value, e.kind() != numeric
	case httpsfv.Token:
		e.hasArg, e.arg, e.ok = true, string(value), e.kind() != numeric
	default:
		e.hasArg, e.ok = true, false
	}
	return e, true
}
