package keyfuncs

import (
	"errors"
	"strconv"
	"strings"
)

var errNumberRange = errors.New("the number is out of range")

// maxPlainDigits is up to where a number is written without an exponent; as
// ECMAScript does it, and enough for any 64-bit integer.
const maxPlainDigits = 21

// canonicalNumber returns the one form shared by all spellings of a JSON
// number. It works on the digits alone, so it neither rounds nor expands.
func canonicalNumber(text string) (string, error) {
	digits, negative := strings.CutPrefix(text, "-")
	mantissa, exponent, _ := strings.Cut(strings.ToLower(digits), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")

	exp := 0
	if exponent != "" {
		var err error
		if exp, err = strconv.Atoi(exponent); err != nil || max(exp, -exp) > 1e9 {
			return "", errNumberRange
		}
	}
	// The value is digits · 10^exp, with the digits as few as can be.
	exp -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)

	if trimmed == "" {
		return "0", nil // also for -0, which is equal to it
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + placePoint(trimmed, exp), nil
}

// placePoint writes digits · 10^exp, where digits neither begins nor ends with
// a zero.
func placePoint(digits string, exp int) string {
	point := len(digits) + exp // place of the decimal point among the digits
	switch {
	case exp >= 0 && point <= maxPlainDigits:
		return digits + strings.Repeat("0", exp)
	case exp < 0 && point > 0:
		return digits[:point] + "." + digits[point:]
	case exp < 0 && point > -maxPlainDigits:
		return "0." + strings.Repeat("0", -point) + digits
	default:
		return digits + "e" + strconv.Itoa(exp)
	}
}
