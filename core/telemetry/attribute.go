package telemetry

import (
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/market-intel-brain/dlm/core"
)

const (
	errorKey   = attribute.Key("error.type")
	addressKey = attribute.Key("server.address")
	portKey    = attribute.Key("server.port")
	sourceKey  = attribute.Key("dlm.lock.source")
	groupKey   = attribute.Key("dlm.lock.group")
	lockKey    = attribute.Key("dlm.lock.key")
	tokenKey   = attribute.Key("dlm.lock.fencing_token")
	stateKey   = attribute.Key("dlm.node.state")
	cacheKey   = attribute.Key("dlm.cache.name")
	resultKey  = attribute.Key("dlm.cache.result")
	discardKey = attribute.Key("dlm.cache.reason")
	failureKey = attribute.Key("dlm.cache.source")
	statusKey  = attribute.Key("http.response.status_code")
)

// options are one set of attributes in the forms that instruments take, ready
// made so that an event on the way to a lock allocates none of it.
type options struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func optionsOf(attrs ...attribute.KeyValue) *options {
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return &options{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
}

// sets are the options of events without a group: none, or one attribute of few
// possible values.
type sets struct {
	none *options
	one  map[attribute.KeyValue]*options // read-only
}

func newSets() sets {
	s := sets{none: &options{}, one: map[attribute.KeyValue]*options{}}
	for _, a := range []attribute.KeyValue{sourceKey.String("redis"), sourceKey.String("handover"), errorKey.String(otherReason)} {
		s.one[a] = optionsOf(a)
	}
	for _, r := range reasons {
		a := errorKey.String(r.name)
		s.one[a] = optionsOf(a)
	}
	return s
}

// plain are the options of an event of key.
func (o *Observer) plain(key string) *options {
	if group := o.group(key); group != "" {
		return optionsOf(groupKey.String(group))
	}
	return o.sets.none
}

// with are the options of an event of key with another attribute, one of sets.
func (o *Observer) with(key string, name attribute.Key, value string) *options {
	a := name.String(value)
	if group := o.group(key); group != "" {
		return optionsOf(a, groupKey.String(group))
	}
	return o.sets.one[a]
}

func (o *Observer) group(key string) string {
	if o.cfg.Group == nil {
		return ""
	}
	return o.cfg.Group(key)
}

func nodeState(e core.Event) *options {
	state := "down"
	if e.Kind == core.EventNodeUp {
		state = "up"
	}
	return optionsOf(append(serverOf(e.Node), stateKey.String(state))...)
}

// serverOf names a node as the conventions want it. What is no host and port, a
// deployment of several servers or a socket, is an address alone.
func serverOf(node string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(node)
	number, notNumber := strconv.Atoi(port)
	if err != nil || notNumber != nil {
		return []attribute.KeyValue{addressKey.String(node)}
	}
	return []attribute.KeyValue{addressKey.String(host), portKey.Int(number)}
}
