package keyfuncs

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// slotValue is what one placeholder of a template contributed to a key.
type slotValue struct {
	present bool
	text    string
}

// readBack parses a key to the values it was made of. It knows the rules of
// the encoding, not how they are carried out: its existence is the proof that
// keys are injective.
func readBack(t *template, key string) ([]slotValue, bool) {
	if len(t.slots) == 0 {
		return nil, key == t.tail
	}
	key, ok := strings.CutPrefix(key, t.slots[0].before)
	values := make([]slotValue, 0, len(t.slots))
	for i := range t.slots {
		escaped, rest := key, ""
		if i+1 < len(t.slots) {
			separator := t.slots[i+1].before
			n := untilPlain(key, separator[0])
			escaped = key[:n]
			rest, ok = cutPrefix(key[n:], separator, ok)
		} else {
			escaped, ok = cutSuffix(key, t.tail, ok)
		}
		value, valid := unescape(escaped)
		ok = ok && valid
		values, key = append(values, value), rest
	}
	return values, ok
}

func cutPrefix(s, prefix string, ok bool) (string, bool) {
	s, found := strings.CutPrefix(s, prefix)
	return s, ok && found
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	s, found := strings.CutSuffix(s, suffix)
	return s, ok && found
}

// untilPlain returns the length of s up to the first c that is not part of an
// escape.
func untilPlain(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%':
			i += 2
		case c:
			return i
		}
	}
	return len(s)
}

func unescape(s string) (slotValue, bool) {
	switch s {
	case "":
		return slotValue{}, true
	case emptyValue:
		return slotValue{present: true}, true
	}
	var text []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			text = append(text, s[i])
			continue
		}
		if i+2 >= len(s) {
			return slotValue{}, false
		}
		b, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return slotValue{}, false
		}
		text = append(text, b...)
		i += 2
	}
	return slotValue{present: true, text: string(text)}, true
}

func TestReadBack(t *testing.T) {
	tmpl, err := compile("o_<context:a|optional>_<context:b|optional>.x")
	require.NoError(t, err)
	values, ok := readBack(tmpl, "o_1%5F2_%--.x")
	require.True(t, ok)
	require.Equal(t, []slotValue{{true, "1_2"}, {true, ""}}, values)

	_, ok = readBack(tmpl, "o_1.x")
	require.False(t, ok)
	_, ok = readBack(tmpl, "o_%4_1.x")
	require.False(t, ok)
}
