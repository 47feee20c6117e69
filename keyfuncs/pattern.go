package keyfuncs

import (
	"slices"
	"strings"
)

// patternLacks reports whether pattern is known to have no parameter name.
// Nothing is known about a pattern without a path: the request was not routed,
// or not yet.
func patternLacks(pattern, name string) bool {
	return strings.Contains(pattern, "/") && !slices.Contains(patternParams(pattern), name)
}

// patternParams returns the parameter names of a route pattern in any of the
// common notations: {id}, {path...} and {$} of [net/http.ServeMux], {id:regex}
// and * of chi, :id and *path of gin and echo. A method and a host before the
// path are allowed.
func patternParams(pattern string) []string {
	var names []string
	// A ServeMux host may not hold wildcards, so all parameters follow the
	// first slash.
	i := max(strings.IndexByte(pattern, '/'), 0)
	braced := strings.Contains(pattern, "{")
	for i < len(pattern) {
		var name string
		switch c := pattern[i]; {
		case c == '\\': // gin and echo write a literal colon as \:
			i += 2
		case c == '{':
			name, i = bracedParam(pattern, i)
		case c == '*', c == ':' && !braced: // beside braces a colon is text, as in /orders/{id}:pay
			name, i = colonParam(pattern, i)
		default:
			i++
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// bracedParam reads the {…} at pattern[i] and returns the name and the index
// behind it. A chi regular expression may itself contain braces.
func bracedParam(pattern string, i int) (string, int) {
	end, depth := i, 0
	for ; end < len(pattern); end++ {
		if pattern[end] == '{' {
			depth++
		} else if pattern[end] == '}' {
			depth--
		}
		if depth == 0 {
			break
		}
	}
	name, _, _ := strings.Cut(pattern[i+1:end], ":")
	if name == "$" { // the end of the path in a ServeMux pattern, no parameter
		name = ""
	}
	return strings.TrimSuffix(name, "..."), end + 1
}

// colonParam reads the :name or *name at pattern[i] and returns the name and
// the index behind it. An unnamed wildcard is called "*", as in chi and echo.
func colonParam(pattern string, i int) (string, int) {
	end := i + 1
	for end < len(pattern) && pattern[end] != '/' {
		end++
	}
	name := pattern[i+1 : end]
	if name == "" && pattern[i] == '*' {
		name = "*"
	}
	return name, end
}
