package keyfuncs

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError is a template that does not compile.
type SyntaxError struct {
	Template string
	Offset   int    // of the mistake in Template, in bytes
	Message  string // cause and remedy
}

// Error describes the mistake and points at it on lines of their own:
//
//	keyfuncs: unknown source "qurey"; … (at offset 7 of the template)
//		order_<qurey:page>
//		       ^
func (e *SyntaxError) Error() string {
	if e.Template == "" {
		return "keyfuncs: " + e.Message
	}
	shown := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return utf8.RuneError // one column wide, and harmless in a log
		}
		return r
	}, e.Template)
	column := utf8.RuneCountInString(e.Template[:e.Offset])
	return fmt.Sprintf("keyfuncs: %s (at offset %d of the template)\n\t%s\n\t%s^",
		e.Message, e.Offset, shown, strings.Repeat(" ", column))
}

func syntaxError(template string, offset int, format string, args ...any) error {
	return &SyntaxError{Template: template, Offset: offset, Message: fmt.Sprintf(format, args...)}
}
