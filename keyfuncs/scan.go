package keyfuncs

import "strings"

// part is a piece of a template: literal text with its escapes undone, or
// what stands between the brackets of a placeholder.
type part struct {
	text        string
	pos         int // of the text in the template; of a placeholder, behind the bracket
	placeholder bool
}

// scan splits a template at its placeholders. Brackets stand for themselves
// when doubled: << >> {{ }}.
func scan(text string) ([]part, error) {
	if text == "" {
		return nil, syntaxError(text, 0, "the template is empty, and an empty key names nothing")
	}
	var parts []part
	for i := 0; i < len(text); {
		p, next, err := scanPart(text, i)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		i = next
	}
	return parts, nil
}

// scanPart returns the part that begins at text[i] and the index behind it.
func scanPart(text string, i int) (part, int, error) {
	c := text[i]
	switch {
	case c < ' ' || c == 0x7f:
		return part{}, 0, syntaxError(text, i, "control character in a template")
	case strings.IndexByte("<>{}", c) < 0:
		literal, next := scanLiteral(text, i)
		return literal, next, nil
	case i+1 < len(text) && text[i+1] == c:
		return part{text: text[i : i+1], pos: i}, i + 2, nil
	case c == '>' || c == '}':
		return part{}, 0, syntaxError(text, i, "%q closes nothing; write it twice for the character itself", c)
	}
	length := strings.IndexAny(text[i+1:], "<>{}\x00\r\n\t")
	if closing := closingBracket(c); length < 0 || text[i+1+length] != closing {
		return part{}, 0, syntaxError(text, i, "placeholder without its %q; write %q twice for the character itself", closing, c)
	}
	end := i + 1 + length
	return part{text: text[i+1 : end], pos: i + 1, placeholder: true}, end + 1, nil
}

func scanLiteral(text string, i int) (part, int) {
	end := i
	for end < len(text) && text[end] >= ' ' && text[end] != 0x7f && strings.IndexByte("<>{}", text[end]) < 0 {
		end++
	}
	return part{text: text[i:end], pos: i}, end
}

func closingBracket(open byte) byte {
	if open == '<' {
		return '>'
	}
	return '}'
}
