package keyfuncs

import (
	"net/http"
	"net/netip"
)

// source is one place in a request a value can come from.
type source struct {
	kind string // as written in a template
	name string // within the source; empty for sources without names

	// read returns the value and whether the client sent one. It fails only
	// for reasons other than absence.
	read func(*http.Request) (value string, present bool, err error)
}

func (s source) missing() error { return &MissingError{Source: s.kind, Name: s.name} }

// single returns the Func whose key is the value of s alone.
func (s source) single() Func {
	return func(r *http.Request) (string, error) {
		value, _, err := s.read(r)
		if err != nil {
			return "", err
		}
		if value == "" {
			return "", s.missing()
		}
		return escape(value, plainValue), nil
	}
}

// sourceConfig is what a source may need to know beyond its name.
type sourceConfig struct {
	template string // to name in a RouteError
	maxBody  int64
	trusted  []netip.Prefix
}

// sourceKind makes sources of one kind from the name in <kind:name>.
type sourceKind struct {
	named bool // whether it takes a name
	make  func(name string, c sourceConfig) (source, error)
}

// must unwraps what a sourceKind returns; the argument of a single source is
// written in the program, so a bad one is a panic as with [regexp.MustCompile].
func must(s source, err error) source {
	if err != nil {
		panic("keyfuncs: " + s.kind + ": " + err.Error())
	}
	return s
}
