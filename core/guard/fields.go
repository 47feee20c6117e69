package guard

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// fields are a header as it is put among what outer middleware has set. The
// slices of values go to every client they are added for.
type fields []field

type field struct {
	name   string
	values []string
	adds   bool // to what outer middleware has set
}

// fieldsOf copies h: what is stored gets into nobody's hands. No append to one
// of the copies reaches the next.
func fieldsOf(h http.Header) fields {
	lines := 0
	for _, values := range h {
		lines += len(values)
	}
	room, list := make([]string, 0, lines), make(fields, 0, len(h))
	for name, values := range h {
		begin := len(room)
		room = append(room, values...)
		list = append(list, field{name, room[begin:len(room):len(room)], listField(name)})
	}
	return list
}

func (f fields) addTo(outer http.Header) {
	for i := range f {
		field := &f[i]
		if field.adds && len(outer[field.name]) > 0 {
			outer[field.name] = append(slices.Clip(outer[field.name]), field.values...)
			continue
		}
		outer[field.name] = field.values
	}
}

// moment is the header of the hits of one second, which differ in nothing.
// Should middleware write into it all the same, the next second is right again.
type moment struct {
	age, ttl int64 // seconds
	fields   fields
}

// setHeader puts the fields of the answer into h.
func (g *Guard) setHeader(h http.Header, res *cache.Result[*response], fwd rfc9111.Fwd) {
	g.outcomes.answered(res.State)
	if res.State == cache.Fresh && !res.Waited {
		g.hitFields(res).addTo(h)
	} else {
		g.answerFields(res, fwd).addTo(h)
	}
}

func (g *Guard) hitFields(res *cache.Result[*response]) fields {
	age, ttl := res.Value.ages(res.Age)
	m := res.Value.moment.Load()
	if m == nil || m.age != int64(age/time.Second) || m.ttl != int64(ttl/time.Second) {
		m = &moment{int64(age / time.Second), int64(ttl / time.Second), g.answerFields(res, "")}
		res.Value.moment.Store(m)
	}
	return m.fields
}

// answerFields are the stored fields, how old the response is and where it comes from.
func (g *Guard) answerFields(res *cache.Result[*response], fwd rfc9111.Fwd) fields {
	age, ttl := res.Value.ages(res.Age)
	h := maps.Clone(res.Value.header)
	if res.State != cache.Fetched {
		h["Age"] = []string{seconds(age)}
	}
	g.addStatus(h, statusOf(res, ttl, fwd))
	return fieldsOf(h)
}

// ages are the age of a response that was fetched so long ago, and the freshness
// it has left.
func (r *response) ages(since time.Duration) (age, ttl time.Duration) {
	age = r.meta.InitialAge + since
	return age, r.meta.Lifetime - age
}
