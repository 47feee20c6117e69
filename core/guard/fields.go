package guard

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// fields are a header as it is put among what outer middleware has set. Every
// client gets the values in a slice of its own: the text is shared, the slices,
// which middleware may write into, are not.
type fields struct {
	list []field
	text []string // the values of all of them
}

type field struct {
	name     string
	from, to int  // in text
	adds     bool // to what outer middleware has set
}

func fieldsOf(h http.Header) fields {
	f := fields{list: make([]field, 0, len(h))}
	for name, values := range h {
		from := len(f.text)
		f.text = append(f.text, values...)
		f.list = append(f.list, field{name, from, len(f.text), listField(name)})
	}
	return f
}

// addTo cuts the client's slices from room, which has the length of text and
// belongs to nobody else. No append to one of them reaches the next.
func (f *fields) addTo(outer http.Header, room []string) {
	copy(room, f.text)
	blank := len(outer) == 0
	for i := range f.list {
		field := &f.list[i]
		values := room[field.from:field.to:field.to]
		if field.adds && !blank && len(outer[field.name]) > 0 {
			values = append(slices.Clip(outer[field.name]), values...)
		}
		outer[field.name] = values
	}
}

// copyTo is addTo with room of its own.
func (f *fields) copyTo(outer http.Header) { f.addTo(outer, make([]string, len(f.text))) }

// moment is the header of the hits of one second, which differ in nothing.
type moment struct {
	age, ttl int64 // seconds
	fields   fields
}

// setHeader puts the fields of the answer into h.
func (g *Guard) setHeader(h http.Header, res *cache.Result[*response], fwd rfc9111.Fwd) {
	g.outcomes.answered(res.State)
	f := g.answerFields(res, fwd)
	f.copyTo(h)
}

// hitFields are the answerFields of a hit. Nothing in them changes any more.
func (g *Guard) hitFields(res *cache.Result[*response]) *fields {
	age, ttl := res.Value.ages(res.Age)
	m := res.Value.moment.Load()
	if m == nil || m.age != int64(age/time.Second) || m.ttl != int64(ttl/time.Second) {
		m = &moment{int64(age / time.Second), int64(ttl / time.Second), g.answerFields(res, "")}
		res.Value.moment.Store(m)
	}
	return &m.fields
}

// answerFields are the stored fields, how old the response is and where it comes from.
func (g *Guard) answerFields(res *cache.Result[*response], fwd rfc9111.Fwd) fields {
	age, ttl := res.Value.ages(res.Age)
	h := maps.Clone(res.Value.header)
	if res.State != cache.Fetched || len(h["Age"]) > 0 {
		h["Age"] = []string{seconds(age)}
	}
	g.addStatus(h, g.statusOf(res, ttl, fwd))
	return fieldsOf(h)
}

// ages are the age of a response that was fetched so long ago, and the freshness
// it has left.
func (r *response) ages(since time.Duration) (age, ttl time.Duration) {
	age = r.meta.InitialAge + since
	return age, r.meta.Lifetime - age
}
