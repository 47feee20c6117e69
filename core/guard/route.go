package guard

import "strings"

// appendRoute appends the path of a route pattern in a form in which the
// routers agree: no method, no host, and parameters without names. A catch-all
// is {...}, any other parameter {}.
func appendRoute(dst []byte, pattern string) []byte {
	start := strings.IndexByte(pattern, '/')
	if start < 0 {
		return dst
	}
	// Who writes a method, a host or braces means a colon as it stands: /orders/{id}:pay.
	colons := start == 0 && !strings.Contains(pattern, "{")
	for i := start; i < len(pattern); {
		switch c := pattern[i]; {
		case c == '{':
			end := bracesEnd(pattern, i)
			dst = append(dst, bracedParam(pattern[i:end])...)
			i = end
		case c == '*', c == ':' && colons && pattern[i-1] != '\\':
			end := i + 1
			for end < len(pattern) && pattern[end] != '/' {
				end++
			}
			dst = append(dst, colonParam(c)...)
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

func colonParam(c byte) string {
	if c == '*' {
		return "{...}"
	}
	return "{}"
}

// bracedParam reads {id}, {path...}, {$} of a ServeMux and {id:[0-9]+} of chi.
func bracedParam(text string) string {
	switch {
	case text == "{$}":
		return text
	case strings.HasSuffix(text, "...}"):
		return "{...}"
	}
	return "{}"
}

// bracesEnd is the index behind the brace that closes the one at i; a regular
// expression may itself contain braces.
func bracesEnd(pattern string, i int) int {
	depth := 0
	for ; i < len(pattern); i++ {
		switch pattern[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(pattern)
}
