package keyfuncs

import "strings"

// forwardedFor returns the nodes of X-Forwarded-For, nearest last. Repeated
// lines are one list (RFC 9110, section 5.3).
func forwardedFor(lines []string) []string {
	list := strings.TrimSpace(strings.Join(lines, ","))
	if list == "" {
		return nil
	}
	nodes := strings.Split(list, ",")
	for i, node := range nodes {
		nodes[i] = strings.TrimSpace(node)
	}
	return nodes
}

// forwardedNodes returns the for= nodes of Forwarded, nearest last, and an
// empty node for an element without one. A quotation mark that a client left
// open would hide what the proxies appended behind it; such a list is one
// element that nothing can be told about.
func forwardedNodes(lines []string) []string {
	list := strings.TrimSpace(strings.Join(lines, ","))
	if list == "" {
		return nil
	}
	elements, closed := splitUnquoted(list, ',')
	if !closed {
		return []string{""}
	}
	for i, element := range elements {
		elements[i] = forwardedNode(element)
	}
	return elements
}

// forwardedNode returns the for= parameter of a forwarded-element (RFC 7239,
// section 4), or nothing where it has none or more than one.
func forwardedNode(element string) string {
	node, found := "", 0
	pairs, _ := splitUnquoted(element, ';')
	for _, pair := range pairs {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "for") {
			node, found = unquote(value), found+1
		}
	}
	if found != 1 {
		return ""
	}
	return node
}

// splitUnquoted splits s at every sep outside a quoted-string, and reports
// whether all quoted-strings are closed.
func splitUnquoted(s string, sep byte) (fields []string, closed bool) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			fields = append(fields, s[from:i])
			from = i + 1
		}
	}
	return append(fields, s[from:]), !quoted
}

// unquote strips the quotes of a quoted-string. No address needs a backslash,
// so one that holds any is left alone, and is then no address.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
