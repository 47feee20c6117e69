package rfc9111

import (
	"net/http"
	"time"
)

// RequestDirectives are what a client asks of caches on the way (RFC 9111
// §5.2.1). A cache in front of a handler may leave them alone: the zero value
// asks for nothing.
type RequestDirectives struct {
	NoCache      bool
	NoStore      bool
	OnlyIfCached bool
	MaxAge       Delta
	MinFresh     Delta
	MaxStale     Delta // MaxDelta where no limit was given
}

// ParseRequest reads Cache-Control, and Pragma where there is none (§5.4). An
// unreadable max-age counts as 0, an unreadable max-stale or min-fresh as
// absent.
func ParseRequest(h http.Header) (d RequestDirectives) {
	lines, present := h["Cache-Control"]
	if !present {
		lines = h["Pragma"]
	}
	for e := range directives(lines) {
		if present {
			d.add(&e)
		} else if e.name == "no-cache" {
			d.NoCache = true
		}
	}
	return d
}

func (d *RequestDirectives) add(e *directive) {
	switch e.name {
	case "no-cache":
		d.NoCache = true
	case "no-store":
		d.NoStore = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge.merge(e.delta())
	case "min-fresh":
		if value, ok := parseDelta(e.arg); ok && value >= d.MinFresh.Value {
			d.MinFresh = Delta{value, true}
		}
	case "max-stale":
		d.addMaxStale(e)
	}
}

func (d *RequestDirectives) addMaxStale(e *directive) {
	if !e.hasArg && e.ok {
		d.MaxStale.merge(Delta{MaxDelta, true})
	} else if value, ok := parseDelta(e.arg); ok {
		d.MaxStale.merge(Delta{value, true})
	}
}

// Use is what to do with the stored response a request has selected.
type Use uint8

const (
	// Forward: ask the handler, with the stored response's validators if any.
	Forward Use = iota
	// Serve: answer with the stored response.
	Serve
	// ServeAndRefresh: answer with it, and refresh it in the background.
	ServeAndRefresh
	// GatewayTimeout: answer 504, because the client forbade to ask
	// (RFC 9111 §5.2.1.7).
	GatewayTimeout
)

// Use decides about f at now; a nil f is a miss.
func (d *RequestDirectives) Use(f *Freshness, now time.Time) Use {
	use := Forward
	if f != nil {
		use = d.use(f, now)
	}
	if use == Forward && d.OnlyIfCached {
		return GatewayTimeout
	}
	return use
}

func (d *RequestDirectives) use(f *Freshness, now time.Time) Use {
	state := f.State(now)
	switch {
	case d.NoCache, d.MaxAge.Set && f.Age(now) > d.MaxAge.Value, state == Fresh && f.TTL(now) < d.MinFresh.Value:
		return Forward
	case state == Fresh:
		return Serve
	case f.mustValidate || f.fromFuture(now):
		return Forward
	case d.MaxStale.Set && !f.staleBarred && -f.TTL(now) <= d.MaxStale.Value:
		return Serve
	case state == StaleWhileRevalidate && !d.MaxAge.Set && !d.MinFresh.Set && !d.MaxStale.Set:
		return ServeAndRefresh
	}
	return Forward
}
