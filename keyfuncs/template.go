package keyfuncs

import (
	"net/http"
	"strings"
)

// Template compiles a key template, such as "order_<id>" or
// "quote_<symbol|lower>_<query:page|default=1>"; the package documentation
// describes the language. A template that does not compile is a [SyntaxError],
// a bad option an error of its own.
func Template(text string, opts ...Option) (Func, error) {
	t, err := compile(text, opts...)
	if err != nil {
		return nil, err
	}
	return t.key, nil
}

// MustTemplate is [Template] for templates written in the program: it panics
// where Template fails.
func MustTemplate(text string, opts ...Option) Func {
	f, err := Template(text, opts...)
	if err != nil {
		panic(err)
	}
	return f
}

// template is a compiled template. It is immutable.
type template struct {
	slots []slot
	tail  string // escaped text behind the last slot
}

// slot is a placeholder and the escaped text before it.
type slot struct {
	before    string
	source    source
	modifiers modifiers
	plain     charset
	pos       int // of the placeholder in the template
}

func (t *template) key(r *http.Request) (string, error) {
	var stack [128]byte // most keys are built without touching the heap
	key := stack[:0]
	for i := range t.slots {
		s := &t.slots[i]
		key = append(key, s.before...)
		var err error
		if key, err = s.append(key, r); err != nil {
			return "", err
		}
	}
	key = append(key, t.tail...)
	return string(key), nil
}

// append appends the escaped value of the slot.
//
//	value    |default=d   |optional   neither
//	absent   d            nothing     MissingError
//	empty    d            emptyValue  MissingError
//	other    value        value       value
func (s *slot) append(key []byte, r *http.Request) ([]byte, error) {
	value, present, err := s.source.read(r)
	if err != nil {
		return nil, err
	}
	m := &s.modifiers
	if value == "" {
		switch {
		case m.fallback != "":
			value = m.fallback
		case !m.optional:
			return nil, s.source.missing()
		case present:
			return append(key, emptyValue...), nil
		default:
			return key, nil
		}
	}
	for _, f := range m.transform {
		value = f(value)
	}
	return appendEscaped(key, value, s.plain), nil
}

// compile turns a template into its executable form.
//
// A key reads back to its values because the text behind a slot begins with a
// character that never stands plain in the slot's value, and because escapes
// are units of three characters. Beyond that, whatever punctuation the
// template itself uses is escaped in all its values: the id "42_items" of
// order_<id> cannot forge a key of order_<id>_items.
func compile(text string, opts ...Option) (*template, error) {
	config, err := newSourceConfig(text, opts)
	if err != nil {
		return nil, err
	}
	parts, err := scan(text)
	if err != nil {
		return nil, err
	}
	t := new(template)
	var literals strings.Builder
	for _, p := range parts {
		if !p.placeholder {
			t.tail += escape(p.text, plainText)
			literals.WriteString(p.text)
			continue
		}
		s, err := parseSlot(text, p, config)
		if err != nil {
			return nil, err
		}
		s.before, t.tail = t.tail, ""
		t.slots = append(t.slots, s)
	}
	return t, t.separate(text, punctuationOf(literals.String()))
}

// separate gives every slot the characters it may show plain, and refuses
// slots that no text, or no usable text, keeps apart.
func (t *template) separate(text, punctuation string) error {
	if len(t.slots) == 1 && t.tail == "" && t.slots[0].before == "" && t.slots[0].modifiers.optional {
		return syntaxError(text, 0, "the key is empty when this value is left out; put text beside it")
	}
	for i := range t.slots {
		t.slots[i].plain = plainValue.without(punctuation)
		if i == 0 {
			continue
		}
		switch before := t.slots[i].before; {
		case before == "":
			return syntaxError(text, t.slots[i].pos, "two placeholders need a separator between them, or their values run together")
		case before[0] == '%':
			return syntaxError(text, t.slots[i].pos, "the separator before this placeholder must begin with a printable ASCII character other than %%, space and braces")
		default:
			t.slots[i-1].plain = t.slots[i-1].plain.without(before[:1])
		}
	}
	return nil
}
