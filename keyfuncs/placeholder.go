package keyfuncs

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// sourceKinds are the sources by the name a template gives them.
var sourceKinds = map[string]sourceKind{
	"param":   {named: true, make: paramSource},
	"query":   {named: true, make: querySource},
	"header":  {named: true, make: headerSource},
	"cookie":  {named: true, make: cookieSource},
	"json":    {named: true, make: jsonSource},
	"form":    {named: true, make: formSource},
	"context": {named: true, make: contextSource},
	"method":  {make: methodSource},
	"host":    {make: hostSource},
	"path":    {make: pathSource},
	"route":   {make: routeSource},
	"ip":      {make: ipSource},
}

// parseSlot compiles the inside of a placeholder: source[:name]{|modifier}.
func parseSlot(text string, p part, config sourceConfig) (slot, error) {
	expr, rest, modified := strings.Cut(p.text, "|")
	src, err := parseSource(text, expr, p.pos, config)
	if err != nil {
		return slot{}, err
	}
	s := slot{source: src, pos: p.pos - 1}
	if modified {
		s.modifiers, err = parseModifiers(text, rest, p.pos+len(expr)+1)
	}
	return s, err
}

// parseSource compiles <kind:name>, <kind>, or <id> for a route parameter.
func parseSource(text, expr string, pos int, config sourceConfig) (source, error) {
	kind, name, colon := strings.Cut(expr, ":")
	known, ok := sourceKinds[kind]
	switch {
	case expr == "":
		return source{}, syntaxError(text, pos, "empty placeholder; name a route parameter, as in <id>, or a source, as in <query:page>")
	case !ok && colon:
		return source{}, syntaxError(text, pos, "unknown source %q; the sources are %s", kind, sourceNames())
	case !ok:
		known, name = sourceKinds["param"], kind
		if err := checkParamName(text, name, pos); err != nil {
			return source{}, err
		}
	case known.named && name == "":
		return source{}, syntaxError(text, pos, "source %s needs a name: <%s:name>; a route parameter called %s is <param:%s>", kind, kind, kind, kind)
	case !known.named && colon:
		return source{}, syntaxError(text, pos+len(kind), "source %s takes no name", kind)
	}
	s, err := known.make(name, config)
	if err != nil {
		return source{}, syntaxError(text, pos+len(expr)-len(name), "%v", err)
	}
	return s, nil
}

// checkParamName refuses in <name> what is more likely a slip than the name of
// a route parameter. <param:name> takes any name.
func checkParamName(text, name string, pos int) error {
	if bare, ok := strings.CutSuffix(name, "..."); ok {
		return syntaxError(text, pos+len(bare), "a template names a wildcard without its dots: <%s>", bare)
	}
	for i, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.*", r) {
			return syntaxError(text, pos+i, "%q in the name of a route parameter; if the router allows it, write <param:%s>", r, name)
		}
	}
	return nil
}

func sourceNames() string {
	return strings.Join(slices.Sorted(maps.Keys(sourceKinds)), ", ")
}
