package guard

import (
	"maps"
	"net/http"
	"slices"
)

// fields are the header fields of a stored response as they are written to
// clients. Middleware around the Guard may write into whatever it finds in its
// header map, so every client gets the values in slices of its own: the text is
// shared, the slices are not.
type fields struct {
	list  []field
	lines int // in all of them
}

type field struct {
	name   string
	values []string
	adds   bool // to what outer middleware has set
}

// stamped is how many lines addStamp may add.
const stamped = 2

// keep makes header the stored fields of r.
func (r *response) keep(header http.Header) {
	r.header = header
	r.fields = fields{list: make([]field, 0, len(header))}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		values := header[name]
		r.fields.list = append(r.fields.list, field{name, values, listField(name)})
		r.fields.lines += len(values)
	}
}

// addTo puts the fields into outer. The slices are cut from room, which nobody
// else may hold, or from room of its own where that is nil. What it returns is
// left for addStamp.
func (f *fields) addTo(outer http.Header, room []string) []string {
	if room == nil {
		room = make([]string, f.lines+stamped)
	}
	for i := range f.list {
		field := &f.list[i]
		switch {
		case field.adds && len(outer[field.name]) > 0:
			outer[field.name] = append(slices.Clip(outer[field.name]), field.values...)
		case len(field.values) == 1:
			room = setOne(outer, field.name, field.values[0], room)
		default:
			n := copy(room, field.values)
			outer[field.name] = room[:n:n]
			room = room[n:]
		}
	}
	return room
}

// setOne sets a field of one line and returns what is left of room.
func setOne(h http.Header, name, value string, room []string) []string {
	room[0] = value
	h[name] = room[:1:1]
	return room[1:]
}
