package rfc9111

import (
	"iter"
	"net/http"
	"strings"
	"time"
)

// MaxDelta is what a number of seconds too large to represent counts as
// (RFC 9111 §1.2.2).
const MaxDelta = 1 << 31 * time.Second

// Delta is an optional number of seconds.
type Delta struct {
	Value time.Duration
	Set   bool
}

// Flags are the response directives that carry no number.
type Flags uint16

// The directives of RFC 9111 §5.2.2 and RFC 8246. NoCache and Private are the
// unqualified forms; the qualified ones are in Directives.NoCacheFields and
// Directives.PrivateFields.
const (
	NoStore Flags = 1 << iota
	NoCache
	Private
	Public
	MustRevalidate
	ProxyRevalidate
	MustUnderstand
	NoTransform
	Immutable
	// Malformed says that part of the field could not be read. What could be
	// read was honored where it restricts; the response counts as stale.
	Malformed
	// Targeted says that a targeted field decided, so that Cache-Control and
	// Expires count for nothing (RFC 9213 §2.2).
	Targeted
)

// Directives is the caching policy a response states about itself.
//
// Where the statement is contradictory or unreadable, the most restrictive
// reading is taken (RFC 9111 §4.2.1): a directive that restricts is honored
// even with an argument it should not have, a number that is no number and
// two numbers that differ mean 0.
type Directives struct {
	Flags                Flags
	MaxAge               Delta
	SMaxAge              Delta
	StaleWhileRevalidate Delta    // RFC 5861 §3
	StaleIfError         Delta    // RFC 5861 §4
	NoCacheFields        []string // canonical names of no-cache="…"
	PrivateFields        []string // canonical names of private="…"
}

// Has reports whether any of the given flags is set.
func (d *Directives) Has(any Flags) bool { return d.Flags&any != 0 }

// ParseResponse reads the policy of a response: the first field of targets
// with a valid, non-empty value (RFC 9213 §2.2), else Cache-Control.
func ParseResponse(h http.Header, targets []string) Directives {
	for _, name := range targets {
		if d, ok := parseTargeted(h.Values(name)); ok {
			return d
		}
	}
	return parseCacheControl(h["Cache-Control"])
}

func parseCacheControl(lines []string) (d Directives) {
	for e := range directives(lines) {
		d.add(e)
	}
	d.settle()
	return d
}

// directive is one element of a Cache-Control field.
type directive struct {
	name   string // lower case
	arg    string // unquoted
	tail   string // what follows the name where that is not an argument
	hasArg bool
	ok     bool // follows the grammar from end to end
	broken bool // a quoted string around or before it never ends
}

func directives(lines []string) iter.Seq[directive] {
	return func(yield func(directive) bool) {
		for _, line := range lines {
			e := elements{rest: line}
			for element, ok := e.next(); ok; element, ok = e.next() {
				if !yield(parseDirective(element, e.broken)) {
					return
				}
			}
		}
	}
}

// parseDirective accepts both forms of an argument for every directive, as
// RFC 9111 §5.2 asks of recipients.
func parseDirective(element string, broken bool) directive {
	n := tokenLen(element)
	d := directive{name: strings.ToLower(element[:n]), tail: element[n:], broken: broken}
	if d.tail == "" {
		d.ok = n > 0
		return d
	}
	if d.tail[0] != '=' {
		return d
	}
	d.hasArg, d.arg = true, d.tail[1:]
	if inner, quoted := unquote(d.arg); quoted {
		d.arg, d.ok = inner, n > 0
	} else {
		d.ok = n > 0 && isToken(d.arg)
	}
	return d
}

type kind uint8

const (
	unknown kind = iota // an extension, to be ignored (RFC 9111 §5.2.3)
	numeric
	listing // alone, or with a list of field names
	plain
)

func (e *directive) kind() kind {
	switch e.name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		return numeric
	case "no-cache", "private":
		return listing
	case "no-store", "no-transform", "public", "immutable",
		"must-revalidate", "proxy-revalidate", "must-understand", "":
		return plain
	}
	return unknown
}

func (d *Directives) add(e directive) {
	if e.broken || !e.ok && e.kind() != unknown {
		d.Flags |= Malformed
	}
	if !e.ok {
		d.Flags |= restrictionsIn(e.tail)
	}
	switch e.kind() {
	case numeric:
		d.number(e.name).merge(e.delta())
	case listing:
		d.qualify(e)
	case plain:
		d.Flags |= e.flag()
	}
}

// restrictionsIn looks for directives in text that is none, as in
// "max-age=60; private": whoever wrote that did not mean a shared response.
func restrictionsIn(text string) (found Flags) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r >= 0x80 || !isTokenByte(byte(r)) })
	for _, word := range words {
		switch strings.ToLower(word) {
		case "no-store":
			found |= NoStore
		case "no-cache":
			found |= NoCache
		case "private":
			found |= Private
		case "must-revalidate", "proxy-revalidate":
			found |= ProxyRevalidate
		}
	}
	return found
}

func (d *Directives) number(name string) *Delta {
	switch name {
	case "max-age":
		return &d.MaxAge
	case "s-maxage":
		return &d.SMaxAge
	case "stale-while-revalidate":
		return &d.StaleWhileRevalidate
	default:
		return &d.StaleIfError
	}
}

// flag reads a directive that takes no argument. The ones that permit
// something are believed only when written exactly; must-revalidate is both
// (it lifts RFC 9111 §3.5), so a botched one counts as proxy-revalidate, which
// restricts a shared cache just the same and permits nothing.
func (e *directive) flag() Flags {
	exact := e.ok && !e.hasArg && !e.broken
	switch e.name {
	case "no-store":
		return NoStore
	case "no-transform":
		return NoTransform
	case "proxy-revalidate":
		return ProxyRevalidate
	case "must-revalidate":
		return exactly(exact, MustRevalidate, ProxyRevalidate)
	case "must-understand":
		return exactly(exact, MustUnderstand, NoStore)
	case "public":
		return exactly(exact, Public, 0)
	case "immutable":
		return exactly(exact, Immutable, 0)
	}
	return 0
}

func exactly(exact bool, then, otherwise Flags) Flags {
	if exact {
		return then
	}
	return otherwise
}

// qualify reads no-cache="…" or private="…". A directive without a readable
// list applies to the whole response, and so does one that names a field the
// cache cannot work without.
func (d *Directives) qualify(e directive) {
	whole, fields := NoCache, &d.NoCacheFields
	if e.name == "private" {
		whole, fields = Private, &d.PrivateFields
	}
	if names, ok := e.fieldNames(); ok {
		*fields = append(*fields, names...)
	} else {
		d.Flags |= whole
	}
}

func (e *directive) fieldNames() (names []string, ok bool) {
	if !e.ok || !e.hasArg || e.broken {
		return nil, false
	}
	for name := range strings.SplitSeq(e.arg, ",") {
		if name = trimOWS(name); name == "" {
			continue
		}
		if name = http.CanonicalHeaderKey(name); !isToken(name) || indispensable(name) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, len(names) > 0
}

// indispensable names the fields without which a stored response would be
// reused wrongly: those that decide its reuse, and those that say what its
// bytes are.
func indispensable(name string) bool {
	switch name {
	case "Age", "Date", "Expires", "Vary", "Content-Type", "Content-Encoding", "Content-Range":
		return true
	}
	return strings.HasSuffix(name, "Cache-Control")
}

// settle drops the lists that an unqualified directive makes pointless.
func (d *Directives) settle() {
	if d.Has(NoCache) {
		d.NoCacheFields = nil
	}
	if d.Has(Private) {
		d.PrivateFields = nil
	}
}

// delta reads the argument of a directive as seconds; what is no such thing
// is 0 (RFC 9111 §4.2.1: invalid freshness information is stale).
func (e *directive) delta() Delta {
	value, ok := parseDelta(e.arg)
	if !ok || !e.ok || e.broken {
		value = 0
	}
	return Delta{Value: value, Set: true}
}

// merge keeps a repeated value and turns two different ones into 0: RFC 9111
// §4.2.1 lets a cache use the first or treat the response as stale, and which
// of two middlewares wrote first is nothing to rely on.
func (d *Delta) merge(other Delta) {
	if d.Set && d.Value != other.Value {
		other.Value = 0
	}
	*d = other
}

// parseDelta reads delta-seconds: digits alone, capped at MaxDelta
// (RFC 9111 §1.2.2).
func parseDelta(s string) (time.Duration, bool) {
	var seconds int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		seconds = min(seconds*10+int64(s[i]-'0'), int64(MaxDelta/time.Second))
	}
	return time.Duration(seconds) * time.Second, s != ""
}
